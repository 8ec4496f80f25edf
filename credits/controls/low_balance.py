"""The low-balance notice: tell users once when their balance falls to their threshold.

The movement that crosses the threshold notes it in the user's settings. The worker then enqueues
the notice and clears the note, in one transaction.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import cast

from django.db.models import QuerySet

from credits import due_rows, ledger
from credits.controls import notification_texts
from credits.due_rows import DueWork
from credits.models import AccountSettings
from credits.outbox import outbox

TELL_JOB = "tell_low_balances"


def tell_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Enqueue up to `limit` notices; yield `told`, `not_needed`, `skipped` or `failed` for each.

    A balance that has risen above the threshold meanwhile needs no notice.
    """
    work = DueWork(TELL_JOB, _crossed(), "crossed_at", partial(_tell, now=now))
    return (settled.outcome for settled in due_rows.settle_each(work, now=now, limit=limit))


def next_due(now: datetime) -> datetime | None:
    """Return when the oldest crossing that was not announced happened, or None."""
    return due_rows.next_due(TELL_JOB, _crossed(), "crossed_at", now=now)


def _crossed() -> QuerySet[AccountSettings]:
    return AccountSettings.objects.filter(crossed_at__isnull=False)


def _tell(settings: AccountSettings, *, now: datetime) -> str:
    crossed_at = cast("datetime", settings.crossed_at)
    # Cleared even if no notice is sent below: the next movement to the threshold is a new one.
    settings.crossed_at = None
    settings.save(update_fields=["crossed_at"])
    # The current balance, not that of the crossing: the user reads the notice now.
    balance = ledger.balance_of(settings.user_id)
    if balance.posted > settings.low_balance:
        return "not_needed"
    outbox.mail(
        settings.user_id,
        notification_texts.low_balance(settings, available=balance.available),
        # The time of the crossing is part of the key: each crossing is announced once.
        key=f"low_balance:{settings.user_id}:{crossed_at.isoformat()}",
        now=now,
    )
    return "told"
