"""Moments as they are stored and shown: to the millisecond."""

from datetime import datetime


def stored(moment: datetime) -> datetime:
    """Return the moment to the millisecond, as the wire shows it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
