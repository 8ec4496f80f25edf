"""Types of arguments that commands share; argparse prints the error."""

import re
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from credits import amounts, labels

_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


def user_id(text: str) -> str:
    """Return a user's id that the wire takes too."""
    if sentence := wrong_user_id(text):
        raise ArgumentTypeError(sentence)
    return text


def wrong_user_id(text: str) -> str | None:
    """Return a sentence about a user's id that the wire refuses, or None."""
    if not 1 <= len(text) <= labels.LONGEST_USER_ID:
        return f"a user id of 1 to {labels.LONGEST_USER_ID} characters is expected"
    return wrong_text(text, labels.error_for_user_id(text))


def wrong_label(text: str) -> str | None:
    """Return a sentence about a name or a reason that the wire refuses, or None."""
    return wrong_text(text, labels.error_for_label(text))


def wrong_text(text: str, error: str | None) -> str | None:
    """Return the sentence of an `error` of labels, or None."""
    if not text.isascii() and re.search(r"[\ud800-\udfff]", text):
        return f"{text!r}: not UTF-8"  # how Python reads other bytes of a shell
    return f"{text!r}: {labels.MESSAGES[error]}" if error else None


def amount(text: str) -> Decimal:
    """Return an amount of credits."""
    try:
        return amounts.read(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def whole_number(text: str) -> int:
    """Return a whole number of at least 1, in ASCII digits."""
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) == 0:
        raise ArgumentTypeError("a whole number of at least 1 is expected")
    return int(text)


def key_id(text: str) -> UUID:
    """Return the UUID that names a row."""
    try:
        return UUID(text)
    except ValueError as error:
        raise ArgumentTypeError("an id such as `list` shows is expected") from error


def day(text: str) -> date:
    """Return the day of `2026-11-30`; ISO 8601 has other ways to write it."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ArgumentTypeError("a day such as 2026-11-30 is expected")


def month(text: str) -> date:
    """Return the first day of the month `2026-10`."""
    try:
        if _MONTH.fullmatch(text):
            return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        pass
    raise ArgumentTypeError("a month is expected, as 2026-10")
