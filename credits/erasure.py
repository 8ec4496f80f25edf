"""Erasure of a person's data: names and texts go, the numbers of the ledger stay."""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple
from uuid import uuid4

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat

from credits import reservations
from credits.ledger import Origin
from credits.models import (
    Balance,
    IdempotencyKey,
    OutboxMessage,
    Purchase,
    Reservation,
    Return,
    StripeCustomer,
    SyncSubscription,
    Transaction,
    UsageStat,
)
from credits.reservations import ReservationCommitted, ReservationExpired


class Rows(NamedTuple):
    """What an app keeps about people.

    `lock` locks a user's rows; `strip` moves them to a pseudonym, without texts, and returns how
    many rows it touched.
    """

    lock: Callable[[str], None]
    strip: Callable[[str, str], int]


_rows_of_other_apps: list[Rows] = []


def add_rows(rows: Rows) -> None:
    """Let `erase` also take care of another app's `rows`."""
    _rows_of_other_apps.append(rows)


def erase(user_id: str) -> int:
    """Move everything the user has to a random id, without texts; return the number of rows.

    Open reservations are released first; the subscription and what was to be told are deleted. The
    chain of transactions and all sums stay as they are. A user never seen is 0 rows; the same id
    seen later is a new user.
    """
    _release_all(user_id)
    pseudonym = f"erased:{uuid4()}"
    with transaction.atomic():
        reservations_of_user = Reservation.objects.filter(user_id=user_id)
        list(reservations_of_user.select_for_update().values_list("pk"))
        deleted = (
            SyncSubscription.objects.filter(pk=user_id).delete()[0]
            + OutboxMessage.objects.filter(user_id=user_id).delete()[0]
        )
        purchases_of_user = Purchase.objects.filter(user_id=user_id)
        list(purchases_of_user.order_by("pk").select_for_update().values_list("pk"))
        for rows in _rows_of_other_apps:
            rows.lock(user_id)
        balance = Balance.objects.filter(pk=user_id)
        list(balance.select_for_update().values_list("pk"))
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL credits.erasing = 'on'")
        return (
            deleted
            + _strip_transactions(user_id, pseudonym)
            + reservations_of_user.update(user_id=pseudonym, reason=F("app_id"), request_id=None)
            + _strip_purchases(purchases_of_user, pseudonym)
            + StripeCustomer.objects.filter(user_id=user_id).update(user_id=pseudonym)
            + UsageStat.objects.filter(user_id=user_id).update(user_id=pseudonym)
            + IdempotencyKey.objects.filter(user_id=user_id).delete()[0]
            + sum(rows.strip(user_id, pseudonym) for rows in _rows_of_other_apps)
            + balance.update(user_id=pseudonym)
        )


def _release_all(user_id: str) -> None:
    origin = Origin("system")
    still_open = Reservation.objects.filter(user_id=user_id, status="open")
    for reservation_id in still_open.values_list("pk", flat=True):
        with suppress(ReservationCommitted, ReservationExpired):
            reservations.release(reservation_id, origin=origin)


def _strip_transactions(user_id: str, pseudonym: str) -> int:
    rows = Transaction.objects.filter(user_id=user_id)
    # The causes of a grant and of a period of Cloud Sync name the user.
    named = Q(type=Transaction.Type.GRANT) | Q(cause__startswith=f"sync:{user_id}:")
    rows.filter(named).update(cause=Concat(Value("erased:"), F("id")))
    return rows.update(
        user_id=pseudonym,
        description="",
        metadata=None,
        request_id=None,
        idempotency_key=None,
    )


def _strip_purchases(purchases: QuerySet[Purchase], pseudonym: str) -> int:
    # What operators wrote about a refund or a quarantine may name the person.
    payments = purchases.values("stripe_payment_intent_id")
    refunds = Return.objects.filter(stripe_payment_intent_id__in=payments, reason__isnull=False)
    refunds.update(reason="")
    purchases.filter(quarantine_resolved_at__isnull=False).update(quarantine_resolved_why="")
    return purchases.update(
        user_id=pseudonym,
        metadata=None,
        client_secret=None,
        success_url=None,
        cancel_url=None,
        checkout_url=None,
        request_id=None,
    )
