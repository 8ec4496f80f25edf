"""What services ask about a person: the balance, and the erasure of the person's data."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credits.api.wire_serializers import named_user
from internal_api import serializers as wire
from internal_api.views import BalanceViewSet
from mana_credits.privacy import erasure


class PersonViewSet(BalanceViewSet):
    """A user's balance, which ends with the user's account."""

    @extend_schema(operation_id="internal_erase", responses={200: wire.ErasedSerializer})
    def erase(self, request: Request, user_id: str) -> Response:
        """Erase the person's data; the numbers of the ledger stay, under a new, random id."""
        return Response(wire.ERASED.represent(erasure.erase(named_user(user_id))))
