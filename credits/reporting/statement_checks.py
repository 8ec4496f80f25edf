"""Verification of a kept statement: signatures, completeness and arithmetic of its sheets.

The file holds the answers of `GET /api/v1/credits/statements/MONTH`, one for each sheet: an array,
or a single answer. Only signed values are used.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from credits.amounts import counted
from credits.errors import DomainError
from credits.reporting import statement_signatures
from credits.reporting.statement_signatures import PublicKeys

FORM = "The file is not a statement as GET /api/v1/credits/statements/MONTH returns it"
COPIES = "Sheet {}: the readable text differs from the signed one"
UNSIGNED = "Sheet {} is not signed"
OTHER = "Sheet {} belongs to another statement: {} differs"
MISSING = "Sheet {} is missing or out of order"
GAP = "Transaction {} is missing"
BALANCE = "Transaction {}: balance and amount do not add up"
CLOSING = "The movements do not lead to the closing balance"
COUNT = "The statement has {} instead of {}"
# Values that must be equal on all sheets of one statement.
COMMON = ("version", "issuer", "userId", "month", "opening")


class StatementInvalid(DomainError):
    """The statement differs from the signed one, or sheets are missing."""

    code = "statement_invalid"
    message = "The statement is invalid"


class VerifiedStatement(NamedTuple):
    """The verified totals of a statement. Amounts are credits."""

    month: str
    user_id: str
    issuer: str
    opening: Decimal
    closing: Decimal
    movements: int
    final: bool
    created_at: str


def verify(text: str, keys: PublicKeys) -> VerifiedStatement:
    """Verify the text of a file. Raises StatementInvalid, SignatureInvalid."""
    try:
        sheets = [_signed(place, one, keys) for place, one in enumerate(_answers(text), start=1)]
        for place, sheet in enumerate(sheets, start=1):
            _require_place(sheets[0], sheet, place, of=len(sheets))
        return _verified(sheets)
    except (ValueError, LookupError, TypeError, InvalidOperation, RecursionError) as error:
        raise StatementInvalid(FORM) from error


def _answers(text: str) -> list[Mapping[str, Any]]:
    """Return the answers in a file, at least one. Raises ValueError."""
    # Decimals, because sums of floats would differ from the balances.
    found = json.loads(text, parse_float=Decimal)
    answers = found if isinstance(found, list) else [found]
    if not answers:
        raise ValueError("no sheet")
    return answers


def _signed(place: int, answer: Mapping[str, Any], keys: PublicKeys) -> dict[str, Any]:
    """Return the signed text of one sheet."""
    if answer["jws"] is None:
        raise StatementInvalid(UNSIGNED.format(place))
    payload = statement_signatures.verified(answer["jws"], keys)
    sheet: dict[str, Any] = json.loads(payload, parse_float=Decimal)
    # The readable copy is what a person reads; it must not differ from what was signed.
    if answer["statement"] != sheet:
        raise StatementInvalid(COPIES.format(place))
    return sheet


def _require_place(
    first: Mapping[str, Any], sheet: Mapping[str, Any], place: int, *, of: int
) -> None:
    for name in COMMON:
        if sheet[name] != first[name]:
            raise StatementInvalid(OTHER.format(place, name))
    if sheet["sheet"] != place:
        raise StatementInvalid(MISSING.format(place))
    if place == of and sheet["sheets"] != of:
        raise StatementInvalid(MISSING.format(place + 1))


def _verified(sheets: list[dict[str, Any]]) -> VerifiedStatement:
    """Add up the movements of all sheets. The last sheet is the newest, so its totals count."""
    last = sheets[-1]
    # Numbers have no gaps, so the first one follows from the last one and the count.
    number, balance = last["lastNumber"] - last["count"], Decimal(last["opening"])
    count = 0
    for movement in (one for sheet in sheets for one in sheet["movements"]):
        number += 1
        balance += Decimal(movement["amount"])
        count += 1
        if movement["number"] != number:
            raise StatementInvalid(GAP.format(number))
        if balance != movement["balanceAfter"]:
            raise StatementInvalid(BALANCE.format(number))
    if count != last["count"]:
        raise StatementInvalid(COUNT.format(counted(count, "movement"), last["count"]))
    if balance != last["closing"]:
        raise StatementInvalid(CLOSING)
    return VerifiedStatement(
        month=last["month"],
        user_id=last["userId"],
        issuer=last["issuer"],
        opening=Decimal(last["opening"]),
        closing=balance,
        movements=count,
        final=last["final"],
        created_at=last["createdAt"],
    )
