"""Contacts: the e-mail address and name of each user's newest token.

Support finds accounts by them, messages go to the confirmed address, and an erasure finds the gifts
to the person. No response of the API contains them. Tokens of an erased user may still be valid, so
an erasure also refuses new contacts of that user for REFUSED_FOR.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from credits.email_addresses import LENGTH, mailbox
from credits.models import Contact, ContactErasure
from credits.principals import User

NAME_LENGTH = 255
REFUSED_FOR = timedelta(days=7)  # longer than a token is valid


@transaction.atomic
def record(seen: Mapping[User, datetime]) -> None:
    """Store the address and the name of each user, in one statement.

    `seen` has at most one User per id, with the time of their token. A user without an address and
    a name is skipped, and so is an erased user.
    """
    _lock("ROW EXCLUSIVE")  # before reading the erasures: see `refuse`
    # Sorted by user, so that two processes lock the rows in the same order.
    rows = [_contact(user, at) for user, at in sorted(seen.items(), key=lambda one: one[0].id)]
    refused = _refused(row for row in rows if row.email or row.name)
    Contact.objects.bulk_create(
        [row for row in rows if (row.email or row.name) and row.user_id not in refused],
        update_conflicts=True,
        unique_fields=["user_id"],
        update_fields=["email", "email_verified", "name", "seen_at"],
    )


@transaction.atomic
def refuse(user_id: str, *, now: datetime) -> None:
    """Record no contact of this user from now on, for REFUSED_FOR.

    Waits for contacts that are being recorded, so the caller can delete all that exist.
    """
    # Conflicts with the lock of `record` and with itself, but not with readers.
    _lock("SHARE ROW EXCLUSIVE")
    ContactErasure.objects.filter(erased_at__lte=now - REFUSED_FOR).delete()
    ContactErasure.objects.update_or_create(pk=_digest(user_id), defaults={"erased_at": now})


def _lock(mode: str) -> None:
    with connection.cursor() as cursor:
        # A lock on the table, because there is no row yet that the two could both lock.
        cursor.execute(f"LOCK TABLE credits.contacts IN {mode} MODE")


def _refused(rows: Iterable[Contact]) -> set[str]:
    """Return the users among `rows` who were erased less than REFUSED_FOR before their token."""
    digests = {_digest(row.user_id): row for row in rows}
    erasures = ContactErasure.objects.in_bulk(list(digests))
    return {
        row.user_id
        for digest, row in digests.items()
        if digest in erasures and row.seen_at < erasures[digest].erased_at + REFUSED_FOR
    }


def _digest(user_id: str) -> str:
    # Digests, so that the list of erasures does not contain the ids of erased users.
    return salted_hmac("credits.contacts", user_id, algorithm="sha256").hexdigest()


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
