"""Serializers of statements and of the keys that sign them."""

import re
from datetime import date
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.metered_fields import MeteringField
from credits.api.query_fields import QueryInteger
from credits.api.wire_fields import (
    AmountField,
    ConstantField,
    TextField,
    TimestampField,
    UserIdField,
    UuidField,
)
from credits.api.wire_serializers import WireSerializer
from credits.models import Transaction
from credits.reporting.statements import MOVEMENTS_PER_SHEET

MONTH = r"[2-9][0-9]{3}-(0[1-9]|1[0-2])"
LARGEST_SHEET = 1_000_000


@extend_schema_field(
    {"type": "string", "maxLength": 7, "pattern": f"^{MONTH}$", "example": "2026-10"}
)
class MonthField(serializers.Field[date, Any, str, Any]):
    """A month such as `2026-10`."""

    default_error_messages = {"invalid": "A month such as 2026-10 is expected."}

    def to_internal_value(self, data: object) -> date:
        """Return the first day of the month."""
        if not isinstance(data, str) or not re.fullmatch(MONTH, data):
            return self.fail("invalid")
        return date(int(data[:4]), int(data[5:]), 1)

    def to_representation(self, value: date) -> str:
        """Return the month of a day."""
        return f"{value:%Y-%m}"


class StatementQuerySerializer(WireSerializer):
    """The sheet of a statement."""

    sheet = QueryInteger(
        min_value=1,
        max_value=LARGEST_SHEET,
        default=1,
        help_text=f"The sheet, from 1. Each has up to {MOVEMENTS_PER_SHEET} movements.",
    )


class StatementPathSerializer(WireSerializer):
    """The month of a statement."""

    month = MonthField(source="first", help_text="The month, in UTC.")


class MovementSerializer(WireSerializer):
    """A transaction in a statement."""

    number = serializers.IntegerField(
        help_text="The number of the transaction: the user's are 1, 2, 3 … without gaps."
    )
    id = UuidField(help_text="The transaction's id.")
    type = serializers.ChoiceField(
        choices=Transaction.Type.choices, help_text="The type of the movement."
    )
    amount = AmountField(help_text="Credits, negative if they left the balance.")
    balanceAfter = AmountField(
        source="balance_after", help_text="The posted balance after the transaction."
    )
    appId = TextField(source="app_id", help_text="The app in which the credits moved.")
    description = TextField(help_text="A text for the user.")
    createdAt = TimestampField(source="created_at", help_text="When the transaction was posted.")
    recordedAt = TimestampField(
        source="recorded_at",
        allow_null=True,
        help_text="When it was written, if that was more than an hour later: imported history.",
    )
    metering = MeteringField()


class StatementSerializer(WireSerializer):
    """One sheet of a statement. All values but `sheet` and `movements` are those of the month."""

    version = serializers.IntegerField(help_text="The version of this format: 1.")
    issuer = TextField(help_text="The public URL of the service that made the statement.")
    userId = UserIdField(source="user_id", help_text="The account.")
    month = MonthField(source="first", help_text="The month, in UTC.")
    final = serializers.BooleanField(
        help_text="Whether the month is over and the statement can no longer change."
    )
    createdAt = TimestampField(source="created_at", help_text="When the statement was made.")
    opening = AmountField(help_text="The posted balance at the start of the month.")
    closing = AmountField(help_text="The posted balance at the end of the month, or now.")
    held = AmountField(help_text="Credits held by open reservations at that time.")
    digest = TextField(
        allow_null=True,
        help_text="The digest of the user's chain at that time: SHA-256 in hexadecimal digits. It"
        " is part of the anchor of the month's last day. Null without transactions.",
    )
    lastNumber = serializers.IntegerField(
        source="last_number", help_text="The number of the last transaction at that time."
    )
    count = serializers.IntegerField(help_text="The number of movements in the month.")
    sheet = serializers.IntegerField(help_text="The number of this sheet.")
    sheets = serializers.IntegerField(help_text="The number of sheets.")
    movements = MovementSerializer(many=True, help_text="The movements, oldest first.")


class SignedStatementSerializer(WireSerializer):
    """A sheet of a statement, readable and signed."""

    statement = StatementSerializer(help_text="The sheet.")
    signed = serializers.BooleanField(
        help_text="Whether the sheet is signed. It is not if the service has no key."
    )
    jws = TextField(
        allow_null=True,
        help_text="The same sheet, signed: a compact JWS (EdDSA, Ed25519) by a key of"
        " `GET /statements/keys`. Null if it is not signed.",
    )


class StatementKeySerializer(WireSerializer):
    """A public key as a JWK (RFC 8037)."""

    kty = ConstantField("OKP", help_text="The type of the key.")
    crv = ConstantField("Ed25519", help_text="The curve.")
    x = TextField(help_text="The public key in base64url.")
    kid = TextField(help_text="The key's id: its thumbprint (RFC 7638).")
    alg = ConstantField("EdDSA", help_text="The algorithm.")
    use = ConstantField("sig", help_text="The key signs.")


class StatementKeysSerializer(WireSerializer):
    """The public keys of all statements: a JWKS document."""

    keys = StatementKeySerializer(many=True, help_text="The keys, the newest first.")


STATEMENT_PATH = StatementPathSerializer()
STATEMENT_QUERY = StatementQuerySerializer()
STATEMENT = StatementSerializer()
