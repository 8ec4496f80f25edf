"""How the service stands, for Prometheus: asked of the database at the moment of the scrape.

Whatever grows with the ledger is asked every five minutes; everything else reads few rows, by
partial indexes.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, Sum
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from credits import bounded_connection, worker
from credits.models import Balance, JobRun, OutboxMessage, PostponedRow, Reservation
from webhooks.models import StripeEvent

STOCK_SECONDS = 300
SCRAPE_SECONDS = 5


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """Return a gauge without values."""
    return GaugeMetricFamily(f"mana_credits_{name}", text, labels=labels)


class StateCollector(Collector):
    """All gauges of the database; none while it is away: the other metrics are needed then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stock: dict[str, Any] = {}
        self._stock_at = float("-inf")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        try:
            with bounded_connection.within(SCRAPE_SECONDS):
                gauges = [*self._stocks(), *_reservations(), *_waiting(), *_jobs()]
        except DatabaseError:
            return
        yield from gauges

    def _stocks(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is counted over whole tables."""
        if self._clock() - self._stock_at > STOCK_SECONDS:
            self._stock = _take_stock()
            self._stock_at = self._clock()
        owed = gauge("outstanding_credits", "Sum of all posted balances; up to 5 minutes old.")
        owed.add_metric([], self._stock["posted"])
        dead = gauge("outbox_dead_messages", "Messages given up; up to 5 minutes old.")
        dead.add_metric([], self._stock["dead"])
        yield owed
        yield dead


def _take_stock() -> dict[str, Any]:
    posted = Balance.objects.aggregate(posted=Sum("posted"))["posted"]
    dead = OutboxMessage.objects.filter(status=OutboxMessage.Status.DEAD)
    return {"posted": float(posted or 0), "dead": dead.count()}


def _reservations() -> Iterator[GaugeMetricFamily]:
    still_open = Reservation.objects.filter(status=Reservation.Status.OPEN)
    found = still_open.aggregate(number=Count("pk"), held=Sum("amount"))
    number = gauge("open_reservations", "Reservations that are neither settled nor expired.")
    number.add_metric([], found["number"])
    held = gauge("held_credits", "Credits held by open reservations.")
    held.add_metric([], float(found["held"] or Decimal(0)))
    yield number
    yield held


def _waiting() -> Iterator[GaugeMetricFamily]:
    pending = OutboxMessage.objects.filter(status=OutboxMessage.Status.PENDING)
    messages = gauge("outbox_pending_messages", "Messages that wait for their delivery.")
    messages.add_metric([], pending.count())
    events = gauge("stripe_events_waiting", "Events of Stripe stored and not applied.")
    events.add_metric([], StripeEvent.objects.filter(processed_at__isnull=True).count())
    yield messages
    yield events


def _job_runs() -> Iterator[GaugeMetricFamily]:
    """Yield how each job of the worker went last, and what the check of the ledger found.

    Their label is not `job`, which is Prometheus' own name for what it scrapes.
    """
    success = gauge(
        "job_last_success_timestamp_seconds",
        "When the last run of a job that went well was started.",
        "name",
    )
    failure = gauge(
        "job_last_failure_timestamp_seconds",
        "When the last run of a job that failed was started.",
        "name",
    )
    steps = gauge("job_last_steps", "Steps of a job's last run, by outcome.", "name", "outcome")
    found = gauge("discrepancies", "What the last check of the ledger found wrong.")
    for run in JobRun.objects.all():
        for family, moment in ((success, run.succeeded_at), (failure, run.failed_at)):
            if moment:
                family.add_metric([run.name], moment.timestamp())
        for outcome, count in sorted(run.result.items()):
            steps.add_metric([run.name, outcome], count)
        if run.name == "check_ledger":
            found.add_metric([], run.result.get("discrepancies", 0))
    yield from (success, failure, steps, found)


def _jobs() -> Iterator[GaugeMetricFamily]:
    yield from _job_runs()
    yield _due()
    yield _postponed()


def _due() -> GaugeMetricFamily:
    age = gauge(
        "job_oldest_due_age_seconds",
        "For how long the oldest row has been due that a job takes; 0 when none is.",
        "name",
    )
    now = worker.now()
    for job in worker.jobs().values():
        if job.next_due:
            age.add_metric([job.name], _age(job.next_due(now), now))
    return age


def _postponed() -> GaugeMetricFamily:
    """Return how many rows of each job failed and wait to be tried again."""
    postponed = gauge("job_postponed_rows", "Rows that a job failed at and tries again.", "name")
    found = PostponedRow.objects.values_list("job").annotate(rows=Count("row_id")).order_by("job")
    for job, rows in found:
        postponed.add_metric([job], rows)
    return postponed


def _age(due: datetime | None, now: datetime) -> float:
    return max(0.0, (now - due).total_seconds()) if due else 0.0
