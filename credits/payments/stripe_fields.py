"""Fields of Stripe's JSON objects: each reader validates one field.

A reader raises UnreadableObject if the field differs from Stripe's documentation.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard
from uuid import UUID

from credits.errors import DomainError

Object = Mapping[str, Any]
# Far above any payment, and small enough for PostgreSQL's bigint after sums.
LARGEST_CENTS = 10**13
LONGEST_NAME = 255
LONGEST_STATUS = 64
LONGEST_URL = 2048


class UnreadableObject(DomainError):
    """A field of a Stripe object is missing or invalid; the message names the field."""

    code = "unreadable_object"
    message = "Stripe's object cannot be read"


def name_in(found: Object, field: str) -> str:
    """Return an id, status or currency: 1 to 255 characters that PostgreSQL can store."""
    return name_of(found.get(field), field)


def name_of(value: object, field: str) -> str:
    """Validate a name (see `name_in`) and return it. Raises UnreadableObject."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise UnreadableObject(f"{field} is not a string of 1 to {LONGEST_NAME} characters")
    # JSON can escape both, but PostgreSQL cannot store them.
    if "\0" in value or any("\ud800" <= one <= "\udfff" for one in value):
        raise UnreadableObject(f"{field} contains NUL or a lone surrogate")
    return value


def id_in(found: Object, field: str) -> str | None:
    """Return the id of a reference, which Stripe may have expanded to the object, or None."""
    reference = found.get(field)
    if isinstance(reference, Mapping):
        reference = reference.get("id")
    return None if reference is None else name_of(reference, field)


def cents(found: Object, field: str, *, least: int = 0, default: int | None = None) -> int:
    """Return an amount in cents; a null or missing one is `default`, if given."""
    value = found.get(field)
    if value is None and default is not None:
        return default
    if not is_whole(value) or not least <= value <= LARGEST_CENTS:
        raise UnreadableObject(f"{field} is not a whole number from {least} to {LARGEST_CENTS}")
    return value


def page_in(found: Object, field: str) -> str | None:
    """Return an https URL (or that of a local sandbox), or None for others such as javascript:."""
    value = found.get(field)
    if not isinstance(value, str) or not value.startswith(("https://", "http://localhost:")):
        return None
    return value if len(value) <= LONGEST_URL and value.isascii() and value.isprintable() else None


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether the value is an integer. In Python, a boolean is one too."""
    return isinstance(value, int) and not isinstance(value, bool)


def status_in(found: Object) -> str | None:
    """Return the status, or None if there is none."""
    status = None if found.get("status") is None else name_in(found, "status")
    if status and len(status) > LONGEST_STATUS:
        raise UnreadableObject(f"status is longer than {LONGEST_STATUS} characters")
    return status


def our_id(found: Object, name: str) -> UUID | None:
    """Return an id that we sent as metadata, or None. Metadata can be edited at Stripe."""
    try:
        return UUID((found.get("metadata") or {}).get(name, ""))
    except (ValueError, AttributeError, TypeError):
        return None
