"""Argument types that several commands share; argparse prints their errors."""

import re
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from credits import amounts, labels

_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
# `date.fromisoformat` alone would also accept forms such as 20261130 and 2026-W48-1.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


def user_id(text: str) -> str:
    """Return `text` if it is a user id that the API accepts. Raises ArgumentTypeError."""
    if sentence := wrong_user_id(text):
        raise ArgumentTypeError(sentence)
    return text


def wrong_user_id(text: str) -> str | None:
    """Return the error message for a user id that the API rejects, or None."""
    if not 1 <= len(text) <= labels.LONGEST_USER_ID:
        return f"a user id must have 1 to {labels.LONGEST_USER_ID} characters"
    return wrong_text(text, labels.error_for_user_id(text))


def wrong_label(text: str) -> str | None:
    """Return the error message for a name or a reason that the API rejects, or None."""
    return wrong_text(text, labels.error_for_label(text))


def wrong_text(text: str, error: str | None) -> str | None:
    """Return the message for `error`, a key of `labels.MESSAGES`, or None without an error."""
    if not text.isascii() and re.search(r"[\ud800-\udfff]", text):
        return f"{text!r}: not UTF-8"  # Python decodes other bytes in argv as surrogates
    return f"{text!r}: {labels.MESSAGES[error]}" if error else None


def amount(text: str) -> Decimal:
    """Parse a positive amount of credits. Raises ArgumentTypeError."""
    try:
        return amounts.read(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def whole_number(text: str) -> int:
    """Parse a whole number of at least 1, in ASCII digits. Raises ArgumentTypeError."""
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) == 0:
        raise ArgumentTypeError("expected a whole number of at least 1")
    return int(text)


def key_id(text: str) -> UUID:
    """Parse the UUID of a row. Raises ArgumentTypeError."""
    try:
        return UUID(text)
    except ValueError as error:
        raise ArgumentTypeError("expected an id as printed by `list`") from error


def day(text: str) -> date:
    """Parse a day such as `2026-11-30`, but no other notation. Raises ArgumentTypeError."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ArgumentTypeError("expected a day such as 2026-11-30")


def month(text: str) -> date:
    """Parse a month such as `2026-10` and return its first day. Raises ArgumentTypeError."""
    try:
        if _MONTH.fullmatch(text):
            return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        pass
    raise ArgumentTypeError("expected a month such as 2026-10")
