"""Timestamps as text: the one notation of ISO 8601 that the API and files of grants accept."""

import re
from datetime import UTC, datetime

# `datetime.fromisoformat` alone would also accept 20261128, 2026-W48-6, T10 and, in newer releases
# of Python, T24:00.
_NOTATION = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"([T ]([01]\d|2[0-3]):\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?[0-5]\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def parse(text: str) -> datetime:
    """Parse a date, which means its start, or a date and time. Without an offset it is UTC.

    Raises ValueError, also for times that are outside the years 1 to 9999 in UTC.
    """
    if not _NOTATION.fullmatch(text):
        raise ValueError("not a date or a date and time in ISO 8601")
    moment = datetime.fromisoformat(text.upper())
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("outside the years 1 to 9999") from error
