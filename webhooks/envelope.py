"""Envelopes: the id, type and time of the event in a signed body.

Stripe has two formats of events. A snapshot event (`object` is `event`) contains the object as it
was. A thin event (`v2.core.event`) only refers to the object in `related_object`, and its type
starts with `v1.` for objects of API v1.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from credits.payments import stripe_fields
from credits.payments.stripe_fields import UnreadableObject

THIN = "v2.core.event"
API_V1 = "v1."
LEVELS = 100  # Stripe's events have about 15 levels
NO_TYPE = "unreadable"

Object = Mapping[str, Any]


class Envelope(NamedTuple):
    """An event's id, type and time, its body as text, and the fault of an unreadable event."""

    id: str
    type: str
    created_at: datetime
    text: str
    fault: str | None


class RelatedObject(NamedTuple):
    """The object that a thin event refers to."""

    id: str
    type: str


def read(payload: bytes, *, now: datetime) -> Envelope:
    """Parse the envelope of a signed body.

    A body without a valid id gets an id made of its digest, so that repeated deliveries are one
    event.
    """
    text = _text(payload)
    try:
        body = parse(text)
    except UnreadableObject as error:
        return Envelope(_digest(payload), NO_TYPE, now, text, error.text)
    name, kind = _name(body, "id"), _name(body, "type")
    moment = _moment(body.get("created"))
    known = {"id": name, "type": kind, "created": moment}
    missing = [field for field, found in known.items() if found is None]
    return Envelope(
        name or _digest(payload),
        kind or NO_TYPE,
        moment or now,
        text,
        f"{', '.join(missing)} missing or invalid" if missing else None,
    )


def parse(text: str) -> Object:
    """Parse a stored body as a JSON object. Raises UnreadableObject."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableObject(f"The body is not JSON: {error}") from error
    if not isinstance(body, Mapping):
        raise UnreadableObject("The body is not a JSON object")
    if _is_deeper(body, LEVELS):
        raise UnreadableObject(f"The body has more than {LEVELS} levels")
    return body


def subject(body: Object) -> Object:
    """Return the object of a snapshot event. Raises UnreadableObject."""
    data = body.get("data")
    found = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(found, Mapping):
        raise UnreadableObject("data.object is not an object")
    return found


def is_thin(body: Object) -> bool:
    """Return whether the event is thin: it only refers to its object."""
    return body.get("object") == THIN


def related(body: Object) -> RelatedObject:
    """Return the id and type of a thin event's object. Raises UnreadableObject."""
    found = body.get("related_object")
    if not isinstance(found, Mapping):
        raise UnreadableObject("related_object is not an object")
    return RelatedObject(stripe_fields.name_in(found, "id"), stripe_fields.name_in(found, "type"))


def _text(payload: bytes) -> str:
    """Decode a body to text that PostgreSQL can store; NUL and invalid UTF-8 are escaped."""
    return payload.decode(errors="backslashreplace").replace("\0", "\\0")


def _digest(payload: bytes) -> str:
    return f"unreadable_{hashlib.sha256(payload).hexdigest()}"


def _name(body: Object, field: str) -> str | None:
    try:
        return stripe_fields.name_in(body, field)
    except UnreadableObject:
        return None


def _moment(created: Any) -> datetime | None:
    """Parse Unix seconds (snapshot events) or an ISO 8601 timestamp (thin events), else None."""
    try:
        if isinstance(created, str):
            moment = datetime.fromisoformat(created)
            return moment.astimezone(UTC) if moment.tzinfo else None
        # In Python, JSON's `true` is also the number 1.
        return None if isinstance(created, bool) else datetime.fromtimestamp(created, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _is_deeper(body: Any, levels: int) -> bool:
    # Level by level. Recursion would exceed Python's limit for the bodies that this must find.
    here = [body]
    for _ in range(levels):
        here = [
            one
            for part in here
            for one in (part.values() if isinstance(part, dict) else part)
            if isinstance(one, dict | list)
        ]
    return bool(here)
