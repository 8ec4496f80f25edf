"""The notices about credits that expire: one per lot, a week before.

The ledger sets `notice_due_at` of each lot that is valid for longer than a week. The worker
enqueues the notice and clears `notice_due_at` in one transaction.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from django.db.models import QuerySet

from credits import due_rows
from credits.controls import notification_texts
from credits.due_rows import DueWork
from credits.ledger import credit_lots
from credits.ledger.db_functions import call
from credits.models import AccountSettings, CreditLot
from credits.outbox import outbox

TELL_JOB = "tell_expiring_credits"


def tell_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Enqueue up to `limit` notices; yield `told`, `skipped` or `failed` for each."""
    # Lots that have expired since the notice was due are left out: it would come too late.
    due = _waiting().filter(notice_due_at__lte=now, expires_at__gt=now)
    tell = partial(_tell, now=now)
    work = DueWork(TELL_JOB, due, "notice_due_at", tell, lock=credit_lots.lock_owner)
    return (settled.outcome for settled in due_rows.settle_each(work, now=now, limit=limit))


def next_due(now: datetime) -> datetime | None:
    """Return when the first notice is or was due, or None without one."""
    unexpired = _waiting().filter(expires_at__gt=now)
    return due_rows.next_due(TELL_JOB, unexpired, "notice_due_at", now=now)


def _waiting() -> QuerySet[CreditLot]:
    return CreditLot.objects.filter(notice_due_at__isnull=False, remaining__gt=0)


def _tell(lot: CreditLot, *, now: datetime) -> str:
    settings = AccountSettings.objects.filter(pk=lot.user_id).first()
    language = settings.language if settings else ""
    outbox.mail(
        lot.user_id,
        notification_texts.expiring_credits(lot, language=language),
        key=f"expiring_credits:{lot.pk}",
        now=now,
    )
    # By a function, because the service's role may not write lots directly.
    call("credits.end_lot_notice", user_id=lot.user_id, lot_id=lot.pk)
    return "told"
