"""Timestamps of gifts, stored and shown with milliseconds."""

from datetime import datetime


def stored(moment: datetime) -> datetime:
    """Truncate `moment` to milliseconds, so that the stored value equals the wire's."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
