"""The locks of an erasure: all rows of a person, in the lock order of all movements."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from credits import ledger
from credits.bulkheads import TooBusy
from credits.ledger import Origin, reservations
from credits.models import (
    ActRequest,
    AdjustmentRequest,
    Balance,
    CampaignGrant,
    Purchase,
    Reservation,
    SyncSubscription,
)
from mana_credits.privacy.erasure_rows import ErasedPerson, PersonalRows

Apps = Iterable[PersonalRows]
ATTEMPTS = 10  # only a user who adds rows all the time needs more than two


class _RowAdded(Exception):
    """A row of the person was added before their balance was locked."""


def lock(person: ErasedPerson, apps: Apps) -> bool:
    """Lock the person's rows, and their balance last. Return whether the balance existed.

    A row that was added in between may already be locked by a movement that waits for the balance.
    To lock it then could deadlock, so all locks are released and taken again. Raises TooBusy
    if rows are added all the time.
    """
    for _ in range(ATTEMPTS):
        # The rollback to the savepoint releases the locks.
        with suppress(_RowAdded), transaction.atomic():
            known = _keys(person, apps)
            _lock_rows(person, apps)
            had_balance = lock_balance(person)
            if _keys(person, apps) != known:
                raise _RowAdded
            return had_balance
    raise TooBusy


def _lock_rows(person: ErasedPerson, apps: Apps) -> None:
    # A second erasure of the person waits here, before it locks any row.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 3))", [person.id])
    reservations.lock_all(person.id)
    for rows in _lockable(person, apps):
        list(rows.order_by("pk").select_for_update().values_list("pk"))


def _lockable(person: ErasedPerson, apps: Apps) -> list[QuerySet[Any]]:
    """Return the rows to lock after the reservations, in this order."""
    return [
        # An approval locks its request before the rows that it changes.
        AdjustmentRequest.objects.filter(user_id=person.id),
        ActRequest.objects.filter(user_id=person.id),
        SyncSubscription.objects.filter(pk=person.id),
        Purchase.objects.filter(user_id=person.id),
        CampaignGrant.objects.filter(user_id=person.id),
        *(rows for app in apps for rows in app.locked(person)),
    ]


def _keys(person: ErasedPerson, apps: Apps) -> list[set[Any]]:
    rows = [Reservation.objects.filter(user_id=person.id), *_lockable(person, apps)]
    return [set(some.values_list("pk", flat=True)) for some in rows]


def lock_balance(person: ErasedPerson) -> bool:
    """Lock the balance; create it if it is missing. Return whether it existed.

    Without a row to lock, the user's first credits could be posted during the erasure.
    """
    known = Balance.objects.filter(pk=person.id).exists()
    ledger.ensure_balance(person.id, origin=Origin("system"))
    return known
