"""Limits on the requests of one process that wait for the rows of one account, or for writes.

A locked balance occupies at most the places of its account. Further requests of that user are
rejected at once with 503, and other users are not affected. After a lock timeout, the
account is known as locked. All locked accounts together share the places of `LOCKED`.
"""

from collections.abc import Hashable
from contextlib import ExitStack, suppress
from typing import Any
from uuid import UUID

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from credits.api.locked_accounts import LockedAccounts
from credits.bulkheads import Bulkhead
from credits.due_rows import is_locked
from credits.ledger import account_marks
from credits.ledger.account_marks import mark_of

# A normal request takes less than the patience, so a busy account has no rejected requests.
ACCOUNT = Bulkhead("account", patience=0.25)
LOCKED = Bulkhead("locked", patience=0.25)
BATCHES = Bulkhead("batches", patience=1.5)
# Keeps threads free for reads while commits hang (an unreachable standby, a stalled disk).
WRITES = Bulkhead("writes", patience=1.5)

locked_accounts = LockedAccounts()


class WriteView(APIView):
    """A view whose changes take a place in the bulkhead of all writes."""

    def dispatch(self, request: Any, *arguments: Any, **named: Any) -> Any:
        """Release the places after the response, also after an error."""
        with ExitStack() as self._places:
            return super().dispatch(request, *arguments, **named)

    def initial(self, request: Request, *arguments: Any, **named: Any) -> None:
        """Take the places after authentication. Raises TooBusy if none is free."""
        super().initial(request, *arguments, **named)
        if request.method not in SAFE_METHODS:
            self.take_places(request, **named)

    def take_places(self, request: Request, **named: Any) -> None:
        """Take the places of a request that changes something. Raises TooBusy."""
        self.hold(WRITES)

    def hold(self, bulkhead: Bulkhead, key: Hashable = None) -> None:
        """Hold a place until the response. Raises TooBusy."""
        self._places.enter_context(bulkhead.place(key))


class ChangesBatches(WriteView):
    """A view whose changes concern many accounts, each of which may be locked."""

    def take_places(self, request: Request, **named: Any) -> None:
        """Take a place among batches, too."""
        self.hold(BATCHES)
        super().take_places(request, **named)


class ChangesAccount(WriteView):
    """A view whose changes take a place in the bulkhead of the account that they change."""

    # A view that waits for another service has its own prefix, so it does not block spends.
    account_place: str = ""
    _account: tuple[str, int] | None = None
    _timed_out = False

    def dispatch(self, request: Any, *arguments: Any, **named: Any) -> Any:
        """Remember whether the request ended in a lock timeout."""
        response = super().dispatch(request, *arguments, **named)
        if self._account is not None:
            locked_accounts.record(self._account, is_locked=self._timed_out)
        return response

    def handle_exception(self, exc: Exception) -> Any:
        """Note whether the error is a lock timeout."""
        self._timed_out = is_locked(exc)
        return super().handle_exception(exc)

    def take_places(self, request: Request, **named: Any) -> None:
        """Take a place of the account, and one among writes unless the view has a prefix.

        If the account is known as locked, take a place of `LOCKED` first.
        """
        user_id = named.get("user_id")
        mark = mark_of(user_id) if user_id else self.mark_in(request)
        if mark is not None:
            account = self.account_place, mark
            if account in locked_accounts:
                self.hold(LOCKED)
            self.hold(ACCOUNT, account)
            self._account = account
        # A view with its own prefix calls another service. A place among writes would be held
        # meanwhile.
        if not self.account_place:
            super().take_places(request, **named)

    def mark_in(self, request: Request) -> int | None:
        """Return the mark of the account that the request changes, or None if it names none."""
        return mark_of(str(request.user.id))


class ChangesNamedAccount(ChangesAccount):
    """A view like ChangesAccount whose caller names the user in the body."""

    def mark_in(self, request: Request) -> int | None:
        """Return the mark of the body's `userId`, or None if there is none."""
        user_id = field_of(request, "userId")
        return mark_of(user_id) if isinstance(user_id, str) else None


class SettlesReservations(ChangesNamedAccount):
    """A view like ChangesNamedAccount whose caller may name a reservation instead of the user."""

    def mark_in(self, request: Request) -> int | None:
        """Return the mark of the body's `userId`, else of its `reservationId`."""
        mark = super().mark_in(request)
        if mark is not None:
            return mark
        with suppress(ValueError):
            return account_marks.mark_in(UUID(str(field_of(request, "reservationId"))))
        return None


def field_of(request: Request, name: str) -> Any:
    """Return a field of the body, or None without one."""
    body = request.data
    return body.get(name) if isinstance(body, dict) else None
