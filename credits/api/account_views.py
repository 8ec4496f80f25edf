"""How many requests of one process may wait for the rows of one account, and for writes at all.

A balance that somebody keeps locked takes at most the places of its account; the others of that
user are refused at once with 503, and everybody else is served.
"""

from contextlib import ExitStack
from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from credits.bulkheads import Bulkhead

# A healthy request is done before the patience ends, so an account in heavy use has no refusals.
ACCOUNT = Bulkhead("account", patience=0.25)
SETTLEMENTS = Bulkhead("settlements", patience=0.25)
# While no commit ends (a standby is away, a disk stalls), reads still find a thread.
WRITES = Bulkhead("writes", patience=1.5)


class ChangesAccount(APIView):
    """A view whose changes take a place of the account that they change."""

    # A prefix of its own for a view that waits for another service meanwhile.
    account_place: str = ""

    def dispatch(self, request: Any, *arguments: Any, **named: Any) -> Any:
        """Give the places back after the answer, whatever it is."""
        with ExitStack() as self._places:
            return super().dispatch(request, *arguments, **named)

    def initial(self, request: Request, *arguments: Any, **named: Any) -> None:
        """Take the places once the caller is known; raise Busy without one."""
        super().initial(request, *arguments, **named)
        if request.method in SAFE_METHODS:
            return
        user_id = named.get("user_id") or self.account_of(request)
        if user_id is not None:
            self._places.enter_context(ACCOUNT.place(f"{self.account_place}{user_id}"))
        else:
            self._places.enter_context(SETTLEMENTS.place())
        if not self.account_place:
            self._places.enter_context(WRITES.place())

    def account_of(self, request: Request) -> str | None:
        """Return the user whose rows the request changes; None when it names only such a row."""
        return str(request.user.id)


class ChangesNamedAccount(ChangesAccount):
    """The same for a caller that names the user in the body."""

    def account_of(self, request: Request) -> str | None:
        """Return the user that the body names."""
        body = request.data
        user_id = body.get("userId") if isinstance(body, dict) else None
        return user_id if isinstance(user_id, str) else None
