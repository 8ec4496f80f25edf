"""Statements of the user's own account, and the keys that verify them."""

from datetime import UTC, datetime

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.http_cache import cacheable
from credits.api.openapi import operation
from credits.api.statement_serializers import (
    STATEMENT,
    STATEMENT_PATH,
    STATEMENT_QUERY,
    MonthField,
    SignedStatementSerializer,
    StatementKeysSerializer,
    StatementQuerySerializer,
)
from credits.api.wire_responses import WireResponse, encode
from credits.api.wire_serializers import query, user
from credits.models import Transaction
from credits.reporting import statement_signatures, statements
from credits.reporting.months import MonthNotBegun


class StatementViewSet(GenericViewSet[Transaction]):
    """The user's statements."""

    pagination_class = None

    @operation(
        "statement",
        parameters=[StatementQuerySerializer],
        response=SignedStatementSerializer,
        refuses=(MonthNotBegun,),
        path={"month": MonthField(help_text="The month, in UTC.")},
    )
    def statement(self, request: Request, month: str) -> WireResponse:
        """Return the user's statement of a month, in sheets, signed.

        The payload of `jws` is `statement`. `docs/statements.md` explains how to verify it.
        """
        first = STATEMENT_PATH.parse({"month": month})["first"]
        sheet = STATEMENT_QUERY.parse(query(request))["sheet"]
        now = datetime.now(UTC)
        found = statements.of_month(user(request).id, first, sheet=sheet, now=now)
        body = STATEMENT.represent(found)
        jws = statement_signatures.sign(encode(body))
        return WireResponse({"statement": body, "signed": jws is not None, "jws": jws})


class StatementKeyViewSet(GenericViewSet[Transaction]):
    """The public keys of statements, for everybody."""

    authentication_classes = ()
    permission_classes = ()
    pagination_class = None

    @operation("statement_keys", response=StatementKeysSerializer, cacheable=True)
    def keys(self, request: Request) -> HttpResponseBase:
        """The public keys that verify statements, as JWKS. Keep them with a statement."""
        return cacheable(request, WireResponse({"keys": statement_signatures.key_set()}))
