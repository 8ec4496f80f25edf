"""The outbox: deliver messages to other services at least once, also after a long outage.

A message is a row that commits together with its change. Failed deliveries are retried with
exponential backoff. Each attempt is claimed in its own transaction before the receiver is called.
Therefore no row is locked during the network call, and a process that dies loses only one attempt.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Min, Q, QuerySet

from credits import due_rows
from credits.errors import DomainError
from credits.models import OutboxMessage
from credits.outbox import mana_notify, recipients
from credits.outbox.mana_notify import NotifyRefused, NotifyUnavailable
from credits.postgresql.atomicity import transaction_required

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
# With these pauses, the last attempt is about 20 hours after the first one.
ATTEMPTS = 12
KEPT = timedelta(days=30)

Status = OutboxMessage.Status
logger = structlog.get_logger(__name__)


class MessageNotDead(DomainError):
    """No dead message has this id."""

    code = "message_not_dead"
    status = 404
    message = "No dead message has this id"


@transaction_required
def tell(user_id: str, body: Mapping[str, Any], *, key: str, now: datetime) -> None:
    """Enqueue a notification in the caller's transaction, once per `key`."""
    message = OutboxMessage(key=key, user_id=user_id, body=body, due_at=now, created_at=now)
    # ON CONFLICT DO NOTHING: a retry of the caller's change has the same key and enqueues nothing.
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)


def mail(user_id: str, text: Mapping[str, Any], *, key: str, now: datetime) -> None:
    """Enqueue a mail to the user in the caller's transaction, once per `key`."""
    tell(user_id, {**recipients.mail_to(user_id), **text}, key=key, now=now)


def deliver_due(now: datetime) -> Iterator[str]:
    """Deliver the due messages one by one; yield `delivered`, `failed` or `dead` for each.

    Any number of processes may run this at the same time. The run ends when mana-notify cannot be
    reached, because every further message would wait for the same timeout. Without MANA_NOTIFY_URL
    messages stay pending. A message that raises another error counts as failed, and the run
    continues.
    """
    while mana_notify.configured() and (message := _claim(now)):
        try:
            mana_notify.send(message.body, key=str(message.pk))
        except NotifyRefused as error:
            yield _failed(message, error)
        except NotifyUnavailable as error:
            yield _failed(message, error)
            return
        except Exception as error:
            logger.exception("notification_not_sent", message=str(message.pk))
            yield _failed(message, error)
        else:
            _open(message).update(status=Status.DELIVERED, delivered_at=now, last_error="")
            yield Status.DELIVERED.value


def next_due(now: datetime) -> datetime | None:
    """Return when the first pending message is or was due, or None if no message is pending."""
    pending = OutboxMessage.objects.filter(status=Status.PENDING)
    due: datetime | None = pending.aggregate(due=Min("due_at"))["due"]
    return due


def revive(message_id: UUID, *, now: datetime) -> OutboxMessage:
    """Make a dead message pending again, with a new set of attempts. Raises MessageNotDead."""
    dead = OutboxMessage.objects.filter(pk=message_id, status=Status.DEAD)
    if not dead.update(status=Status.PENDING, attempts=0, due_at=now):
        raise MessageNotDead
    return OutboxMessage.objects.get(pk=message_id)


def clean_up(*, now: datetime) -> Iterator[int]:
    """Delete messages delivered more than 30 days ago in batches; yield each batch's count."""
    # Dead messages stay, because an operator may revive them.
    old = OutboxMessage.objects.filter(status=Status.DELIVERED, delivered_at__lt=now - KEPT)
    return due_rows.change_free(old, lambda rows: rows.delete()[0])


@transaction.atomic
def _claim(now: datetime) -> OutboxMessage | None:
    message = _due(now).order_by("due_at").select_for_update(skip_locked=True).first()
    if message:
        # Counted before the call: a process that dies during it must not retry it forever.
        message.attempts += 1
        message.due_at = now + min(FIRST_PAUSE * 2 ** (message.attempts - 1), LONGEST_PAUSE)
        message.save(update_fields=["attempts", "due_at"])
    return message


def _due(now: datetime) -> QuerySet[OutboxMessage]:
    # Later than any backoff: such a time was written while a clock was wrong and does not count.
    too_late = now + 2 * LONGEST_PAUSE
    return OutboxMessage.objects.filter(
        Q(due_at__lte=now) | Q(due_at__gt=too_late), status=Status.PENDING
    )


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
    # If this delivery took longer than the backoff, another process may have delivered it already.
    return OutboxMessage.objects.filter(pk=message.pk, status=Status.PENDING)
