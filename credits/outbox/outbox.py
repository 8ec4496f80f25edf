"""The outbox: tell other services what happened, at least once, however long they are away.

A message is a row that commits with its change. Delivery is tried with growing pauses; each try is
claimed in a transaction of its own before the receiver is called, so no row stays locked while the
network waits, and a process that dies has only used up one try.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Min, QuerySet

from credits.errors import DomainError
from credits.models import OutboxMessage
from credits.outbox import mana_notify
from credits.outbox.mana_notify import NotifyRefused, NotifyUnavailable

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
ATTEMPTS = 12
KEPT = timedelta(days=30)

Status = OutboxMessage.Status
logger = structlog.get_logger(__name__)


class MessageNotDead(DomainError):
    """There is no dead message of this id."""

    code = "message_not_dead"
    status = 404
    message = "There is no such message among the dead"


def tell(user_id: str, body: Mapping[str, Any], *, key: str, now: datetime) -> None:
    """Write down a notification in the caller's transaction; the same `key` is told once."""
    message = OutboxMessage(key=key, user_id=user_id, body=body, due_at=now, created_at=now)
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)


def deliver_due(*, now: datetime) -> Iterator[str]:
    """Deliver what is due, one after the other; yield `delivered`, `failed` or `dead` for each.

    Any number of processes may do so at once. Ends early when mana-notify cannot be reached: there
    is no point in letting every message wait for it. Without MANA_NOTIFY_URL messages wait.
    """
    while mana_notify.configured() and (message := _claim(now)):
        try:
            mana_notify.send(message.body, key=str(message.pk))
        except NotifyRefused as error:
            yield _failed(message, error)
        except NotifyUnavailable as error:
            yield _failed(message, error)
            return
        else:
            _open(message).update(status=Status.DELIVERED, delivered_at=now, last_error="")
            yield Status.DELIVERED.value


def next_due() -> datetime | None:
    """Return when the first pending message is or was due, None without any."""
    pending = OutboxMessage.objects.filter(status=Status.PENDING)
    due: datetime | None = pending.aggregate(due=Min("due_at"))["due"]
    return due


def revive(message_id: UUID, *, now: datetime) -> OutboxMessage:
    """Try a dead message again, from the first pause on. Raises MessageNotDead."""
    dead = OutboxMessage.objects.filter(pk=message_id, status=Status.DEAD)
    if not dead.update(status=Status.PENDING, attempts=0, due_at=now):
        raise MessageNotDead
    return OutboxMessage.objects.get(pk=message_id)


def clean_up(*, now: datetime) -> int:
    """Delete what was delivered more than 30 days ago; return how many."""
    return OutboxMessage.objects.filter(
        status=Status.DELIVERED, delivered_at__lt=now - KEPT
    ).delete()[0]


@transaction.atomic
def _claim(now: datetime) -> OutboxMessage | None:
    message = (
        OutboxMessage.objects.filter(status=Status.PENDING, due_at__lte=now)
        .order_by("due_at")
        .select_for_update(skip_locked=True)
        .first()
    )
    if message:
        message.attempts += 1
        message.due_at = now + min(FIRST_PAUSE * 2 ** (message.attempts - 1), LONGEST_PAUSE)
        message.save(update_fields=["attempts", "due_at"])
    return message


def _failed(message: OutboxMessage, error: Exception) -> str:
    dead = message.attempts >= ATTEMPTS
    _open(message).update(
        status=Status.DEAD if dead else Status.PENDING, last_error=str(error)[:500]
    )
    logger.warning(
        "notification_failed", message=str(message.pk), attempts=message.attempts, dead=dead
    )
    return "dead" if dead else "failed"


def _open(message: OutboxMessage) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(pk=message.pk, status=Status.PENDING)
