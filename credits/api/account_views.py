"""Limits on the requests of one process that wait for the rows of one account, or for writes.

A locked balance occupies at most the places of its account. Further requests of that user are
rejected at once with 503, and other users are not affected.
"""

from contextlib import ExitStack
from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from credits.bulkheads import Bulkhead

# A normal request takes less than the patience, so a busy account has no rejected requests.
ACCOUNT = Bulkhead("account", patience=0.25)
SETTLEMENTS = Bulkhead("settlements", patience=0.25)
# Keeps threads free for reads while commits hang (an unreachable standby, a stalled disk).
WRITES = Bulkhead("writes", patience=1.5)


class ChangesAccount(APIView):
    """A view whose changes take a place in the bulkhead of the account that they change."""

    # A view that waits for another service has its own prefix, so it does not block spends.
    account_place: str = ""

    def dispatch(self, request: Any, *arguments: Any, **named: Any) -> Any:
        """Release the places after the response, also after an error."""
        with ExitStack() as self._places:
            return super().dispatch(request, *arguments, **named)

    def initial(self, request: Request, *arguments: Any, **named: Any) -> None:
        """Take the places after authentication. Raises Busy if none is free."""
        super().initial(request, *arguments, **named)
        if request.method in SAFE_METHODS:
            return
        user_id = named.get("user_id") or self.account_of(request)
        # A settlement names only the reservation. Its user is known after the row is read, too late
        # for a place of the account.
        if user_id is not None:
            self._places.enter_context(ACCOUNT.place(f"{self.account_place}{user_id}"))
        else:
            self._places.enter_context(SETTLEMENTS.place())
        if not self.account_place:
            self._places.enter_context(WRITES.place())

    def account_of(self, request: Request) -> str | None:
        """Return the user whose rows the request changes, or None if it names only a row's id."""
        return str(request.user.id)


class ChangesNamedAccount(ChangesAccount):
    """A view like ChangesAccount whose caller names the user in the body."""

    def account_of(self, request: Request) -> str | None:
        """Return the body's `userId`, or None if there is none."""
        body = request.data
        user_id = body.get("userId") if isinstance(body, dict) else None
        return user_id if isinstance(user_id, str) else None
