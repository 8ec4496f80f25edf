"""What a process remembers about waits for locks that were given up."""

import time

REMEMBERED = 10_000
RECENT_SECONDS = 10


class LockedAccounts:
    """The accounts whose last change gave up waiting for a lock: the newest REMEMBERED of them."""

    def __init__(self) -> None:
        self._accounts: dict[str, None] = {}

    def __contains__(self, account: str) -> bool:
        return account in self._accounts

    def record(self, account: str, *, is_locked: bool) -> None:
        """Add the account, or remove it. Any thread may call this."""
        if not is_locked:
            self._accounts.pop(account, None)
            return
        self._accounts[account] = None
        if len(self._accounts) > REMEMBERED:
            self._accounts.pop(next(iter(list(self._accounts))), None)


class LockTimeouts:
    """Whether a wait for a lock was given up in the last RECENT_SECONDS."""

    def __init__(self) -> None:
        self._until = 0.0

    def add(self) -> None:
        """Record that a wait was given up now."""
        self._until = time.monotonic() + RECENT_SECONDS

    def is_recent(self) -> bool:
        """Return whether a wait was given up a short time ago."""
        return time.monotonic() < self._until
