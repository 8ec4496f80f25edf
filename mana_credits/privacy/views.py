"""The service API for a person: the balance, and the erasure of their data."""

from datetime import UTC, datetime

from rest_framework.request import Request

from credits.api.openapi import operation
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import named_user
from internal_api import scopes
from internal_api import serializers as wire
from internal_api.views import BalanceViewSet
from mana_credits.privacy import erasure_requests


class PersonViewSet(BalanceViewSet):
    """A user's balance, which ends with the user's account."""

    @operation(
        "internal_erase",
        response={200: wire.EraseUserResponseSerializer},
        scope=scopes.ERASE,
    )
    def erase(self, request: Request, user_id: str) -> WireResponse:
        """Erase the person's data; the numbers of the ledger stay, under a new, random id.

        A history of more than 2,000 movements and reservations is erased by the worker within
        minutes. `deletedCount` is then the number of its transactions and the balance, also when
        the request is sent again. Until then the account can be read and used as before, and what
        is added to it is erased too.
        """
        count = erasure_requests.erase_or_record(named_user(user_id), now=datetime.now(UTC))
        return WireResponse(wire.ERASED.represent(count))
