"""Contacts: the e-mail address and name of each user's newest token. Only support reads them."""

from collections.abc import Mapping
from datetime import datetime

from credits.email_addresses import LENGTH, mailbox
from credits.models import Contact
from credits.principals import User

NAME_LENGTH = 255


def record(seen: Mapping[User, datetime]) -> None:
    """Store the address and the name of each user, in one statement.

    `seen` has at most one User per id, with the time of their token. A user without an address and
    a name is skipped.
    """
    rows = [_contact(user, at) for user, at in sorted(seen.items(), key=lambda one: one[0].id)]
    Contact.objects.bulk_create(
        [row for row in rows if row.email or row.name],
        update_conflicts=True,
        unique_fields=["user_id"],
        update_fields=["email", "email_verified", "name", "seen_at"],
    )


def _contact(user: User, at: datetime) -> Contact:
    email = mailbox(_printable(user.email or ""))
    return Contact(
        user_id=user.id,
        email=email if len(email) <= LENGTH else "",
        email_verified=user.email_verified,
        name=_printable(user.name or "")[:NAME_LENGTH],
        seen_at=at,
    )


def _printable(text: str) -> str:
    """Return `text` without control characters: PostgreSQL cannot store a NUL."""
    return "".join(one for one in text if one.isprintable()).strip()
