"""What a process remembers about waits for locks that were given up."""

from collections.abc import Hashable

REMEMBERED = 10_000


class LockedAccounts:
    """The accounts whose last change gave up waiting for a lock: the newest REMEMBERED of them."""

    def __init__(self) -> None:
        self._accounts: dict[Hashable, None] = {}

    def __contains__(self, account: Hashable) -> bool:
        return account in self._accounts

    def record(self, account: Hashable, *, is_locked: bool) -> None:
        """Add the account, or remove it. Any thread may call this."""
        if not is_locked:
            self._accounts.pop(account, None)
            return
        self._accounts[account] = None
        if len(self._accounts) > REMEMBERED:
            self._accounts.pop(next(iter(list(self._accounts))), None)
