"""Prometheus metrics that query the database when they are scraped.

Queries over whole tables run at most every five minutes. All others read a few rows by partial
indexes.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from django.db import DatabaseError
from django.db.models import Count, Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from credits import worker
from credits.ledger import anchors
from credits.models import (
    Balance,
    DailyTotal,
    JobRun,
    OutboxMessage,
    PostponedRow,
    Reservation,
    Transaction,
)
from credits.postgresql import bounded_connection, replica
from mana_credits.service_events.models import EventMessage
from webhooks.models import StripeEvent

STOCK_SECONDS = 300
SCRAPE_SECONDS = 5

logger = structlog.get_logger(__name__)


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """Return a gauge without values."""
    return GaugeMetricFamily(f"mana_credits_{name}", text, labels=labels)


class StateCollector(Collector):
    """Collects all metrics of the database.

    If one of its queries fails it yields nothing, so that the scrape still returns other metrics.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stock: dict[str, Any] = {}
        self._stock_at = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """Yield every metric. If the database fails, log its error and yield nothing."""
        try:
            # Prometheus gives up after some seconds, and a scrape must not hold its thread for
            # longer.
            with bounded_connection.within(SCRAPE_SECONDS):
                # A list, so that a database that fails in the middle leaves no half of the metrics.
                gauges = self._of_the_database()
        except DatabaseError as error:
            cause = error.__cause__
            logger.warning(
                "gauges_missing",
                error=type(cause or error).__name__,
                sqlstate=getattr(cause, "sqlstate", None),
            )
            return
        yield from gauges

    @replica.may_lag
    def _of_the_database(self) -> list[Metric]:
        return [*self._stocks(), *_reservations(), *_waiting(), *_jobs(), *_anchor()]

    def _stocks(self) -> Iterator[Metric]:
        """Yield the metrics that aggregate whole tables, cached for STOCK_SECONDS."""
        if self._clock() - self._stock_at > STOCK_SECONDS:
            self._stock = _take_stock()
            self._stock_at = self._clock()
        owed = gauge("outstanding_credits", "Sum of all posted balances; up to 5 minutes old.")
        owed.add_metric([], self._stock["posted"])
        dead = gauge("outbox_dead_messages", "Messages given up on; up to 5 minutes old.")
        dead.add_metric([], self._stock["dead"])
        yield owed
        yield dead
        yield from _expiries(self._stock)


def _take_stock() -> dict[str, Any]:
    posted = Balance.objects.aggregate(posted=Sum("posted"))["posted"]
    dead = OutboxMessage.objects.filter(status=OutboxMessage.Status.DEAD)
    expiries = DailyTotal.objects.filter(type=Transaction.Type.EXPIRY)
    expired = expiries.aggregate(number=Sum("transactions"), credits=Sum("credits_out"))
    return {"posted": float(posted or 0), "dead": dead.count(), "expired": expired}


def _expiries(stock: dict[str, Any]) -> Iterator[Metric]:
    """Yield the counters of expiries.

    They are read from the daily totals, because any movement of a user may post an expiry inside
    the database, where no process counts it.
    """
    for name, text, key in (
        ("expiries", "Posted expiries of credits; up to 10 minutes old.", "number"),
        ("expired_credits", "Credits that have expired; up to 10 minutes old.", "credits"),
    ):
        counter = CounterMetricFamily(f"mana_credits_{name}", text)
        counter.add_metric([], float(stock["expired"][key] or 0))
        yield counter


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
    messages = gauge("outbox_pending_messages", "Messages waiting for delivery.")
    messages.add_metric([], pending.count())
    events = gauge("stripe_events_waiting", "Stripe events stored but not applied.")
    events.add_metric([], StripeEvent.objects.filter(processed_at__isnull=True).count())
    yield messages
    yield events
    yield from _events_told()


def _events_told() -> Iterator[GaugeMetricFamily]:
    """Yield how many messages of events are not delivered, by the subscribed service."""
    pending = gauge("event_messages_pending", "Undelivered messages of events.", "service")
    parked = gauge("event_messages_parked", "Parked messages of events.", "service")
    status = EventMessage.Status
    for family, wanted in ((pending, status.PENDING), (parked, status.PARKED)):
        found = EventMessage.objects.filter(status=wanted, subscription__ended_at__isnull=True)
        counts = found.values_list("subscription__service").annotate(Count("pk")).order_by()
        for service, count in counts:
            family.add_metric([service], count)
        yield family


def _job_runs(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield the outcome of each worker job's last run and the discrepancies of the ledger check.

    The label is `name`, because Prometheus itself uses `job` for the scraped target. A run in
    the future was recorded while a clock was wrong. It would raise or hide an alert until then.
    """
    success = gauge(
        "job_last_success_timestamp_seconds",
        "Start time of the job's last successful run.",
        "name",
    )
    failure = gauge(
        "job_last_failure_timestamp_seconds",
        "Start time of the job's last failed run.",
        "name",
    )
    steps = gauge("job_last_steps", "Steps of a job's last run, by outcome.", "name", "outcome")
    found = gauge("discrepancies", "Discrepancies found by the last ledger check.")
    for run in JobRun.objects.all():
        for family, moment in ((success, run.succeeded_at), (failure, run.failed_at)):
            if moment and moment <= now:
                family.add_metric([run.name], moment.timestamp())
        for outcome, count in sorted(run.result.items()):
            steps.add_metric([run.name, outcome], count)
        if run.name == "check_ledger":
            found.add_metric([], run.result.get("discrepancies", 0))
    yield from (success, failure, steps, found)


def _jobs() -> Iterator[GaugeMetricFamily]:
    now = worker.now()
    yield from _job_runs(now)
    yield _due(now)
    yield _postponed()


def _anchor() -> Iterator[GaugeMetricFamily]:
    """Yield the newest anchor. Its digest is a label, so that Prometheus keeps one for each day."""
    users = gauge("anchor_users", "Users in the newest anchor of the ledger.", "day", "digest")
    total = gauge("anchor_credits", "Sum of all balances in the newest anchor.", "day", "digest")
    if anchor := anchors.newest():
        labels = [anchor.day.isoformat(), anchor.hex]
        users.add_metric(labels, anchor.count)
        total.add_metric(labels, float(anchor.sum))
    yield from (users, total)


def _due(now: datetime) -> GaugeMetricFamily:
    age = gauge(
        "job_oldest_due_age_seconds",
        "Time since the job's oldest unprocessed row became due; 0 without due rows.",
        "name",
    )
    for job in worker.jobs().values():
        if job.next_due:
            age.add_metric([job.name], _age(job.next_due(now), now))
    return age


def _postponed() -> GaugeMetricFamily:
    """Return how many failed rows of each job wait for a retry."""
    postponed = gauge("job_postponed_rows", "Failed rows that the job will retry.", "name")
    found = PostponedRow.objects.values_list("job").annotate(rows=Count("row_id")).order_by("job")
    for job, rows in found:
        postponed.add_metric([job], rows)
    return postponed


def _age(due: datetime | None, now: datetime) -> float:
    return max(0.0, (now - due).total_seconds()) if due else 0.0
