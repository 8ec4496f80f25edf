"""Lock timeouts that a process remembers."""

import time

REMEMBERED = 10_000
RECENT_SECONDS = 10


class LockedAccounts:
    """The accounts whose last change ended in a lock timeout: the newest REMEMBERED of them."""

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
            # A copy of the keys: another thread may change the dict during the iteration.
            self._accounts.pop(next(iter(list(self._accounts))), None)


class LockTimeouts:
    """Whether a lock timeout occurred in the last RECENT_SECONDS."""

    def __init__(self) -> None:
        self._until = 0.0

    def add(self) -> None:
        """Record a lock timeout."""
        self._until = time.monotonic() + RECENT_SECONDS

    def is_recent(self) -> bool:
        """Return whether a lock timeout occurred a short time ago."""
        return time.monotonic() < self._until
