"""Accounts with a lock timeout, which a process remembers."""

from collections.abc import Hashable

REMEMBERED = 10_000


class LockedAccounts:
    """The accounts whose last change ended in a lock timeout: the newest REMEMBERED of them."""

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
            # A copy of the keys: another thread may change the dict during the iteration.
            self._accounts.pop(next(iter(list(self._accounts))), None)
