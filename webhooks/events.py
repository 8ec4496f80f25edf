"""Events: stored, then applied once, with the mark that says so in the same transaction.

A signed event is never refused: one that cannot be read, or was meant for another account or mode,
is stored with the reason and not tried again.
"""

import traceback
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from prometheus_client import Counter, Histogram

from credits import due_rows, pseudonyms
from credits.due_rows import Settled, Work
from credits.models import Purchase
from credits.payments import stripe_facts
from credits.payments.stripe_api import PaymentUnavailable, RefusedByStripe
from credits.payments.stripe_facts import UnreadableObject
from webhooks import current_state, destination, envelope
from webhooks.current_state import Fetched
from webhooks.envelope import API_V1, Object, Related
from webhooks.handlers import HANDLERS, EventContext
from webhooks.models import StripeEvent

Outcome = StripeEvent.Outcome
EVENTS = Counter(
    "mana_credits_stripe_events_total", "Events of Stripe by type and outcome.", ("type", "outcome")
)
LAG = Histogram(
    "mana_credits_stripe_event_lag_seconds",
    "How long after Stripe made an event it was applied here.",
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400),
)
DISPUTES = "charge.dispute."
LONGEST_TRACEBACK = 10_000
PROCESS_JOB = "process_stripe_events"
SHOWN_FOR = timedelta(days=30)

logger = structlog.get_logger(__name__)


def receive(payload: bytes, *, now: datetime) -> StripeEvent:
    """Store an event whose signature was verified, apply it, and return it.

    When applying fails the event stays, with the traceback, for the next delivery or `process_due`.
    A thin event whose object cannot be fetched now is left to `process_due` without an error.
    """
    read = envelope.read(payload, now=now)
    event = StripeEvent(
        id=read.id,
        type=read.type,
        payload=read.text,
        created_at=read.created_at,
        received_at=now,
        attempts=0,
    )
    if read.fault:
        _finish(event, Outcome.UNREADABLE, now, read.fault)
    new = StripeEvent.objects.bulk_create([event], ignore_conflicts=True)
    if read.fault:
        return new[0]
    if envelope.is_thin(envelope.parse(read.text)):
        attempt(event.pk, now=now)
    else:
        process(event.pk, now=now)
    return event


def process(event_id: str, *, now: datetime) -> None:
    """Apply a stored event unless that was done before; what it raises is also kept with it.

    An event that could not be read is read again: by now the service may know how.
    """
    try:
        fetched = _fetch(StripeEvent.objects.get(pk=event_id))  # before any row is locked
        with transaction.atomic():
            event = StripeEvent.objects.select_for_update().get(pk=event_id)
            if event.is_due:
                _apply(event, fetched, now)
    except Exception as error:
        _keep_error(event_id, error)
        raise


def process_due(*, now: datetime, limit: int) -> Iterator[Settled]:
    """Apply up to `limit` stored events that were not processed, oldest first; yield each.

    Each in its own transaction, as `due_rows.settle_each` says; what an event raises is kept with
    it. Any number of processes may do so at once. While a thin event's object is fetched, which has
    a deadline, only the event's own row is locked. After one call in vain Stripe is not asked again
    in this run: each call may take the whole deadline.
    """
    outages: list[PaymentUnavailable] = []

    def apply(event: StripeEvent) -> str:
        if outages and event.type.startswith(API_V1):
            raise outages[0]
        try:
            fetched = _fetch(event)
        except PaymentUnavailable as error:
            outages.append(error)
            raise
        _apply(event, fetched, now)
        return "processed"

    work = Work(
        PROCESS_JOB,
        StripeEvent.objects.filter(processed_at__isnull=True),
        "created_at",
        apply,
        owner=None,
        on_failure=_keep_error,
    )
    return due_rows.settle_each(work, now=now, limit=limit)


def attempt(event_id: str, *, now: datetime) -> Exception | None:
    """Process a stored event and return what it raised, which is also kept with it."""
    try:
        process(event_id, now=now)
    except Exception as error:  # noqa: BLE001  # one that fails must not stop the others
        return error
    return None


def unreadable(*, now: datetime) -> QuerySet[StripeEvent]:
    """Return the events of the last 30 days that could not be read."""
    since = now - SHOWN_FOR
    return StripeEvent.objects.filter(outcome=Outcome.UNREADABLE, received_at__gte=since)


def empty_payloads(*, received_before: datetime) -> Iterator[int]:
    """Empty the payloads of processed events that were received before then; yield counts.

    Ids, types, times and outcomes stay, so that an event which comes again is still known.
    """
    processed = StripeEvent.objects.filter(
        processed_at__isnull=False, received_at__lt=received_before
    )
    return due_rows.change_free(
        processed.exclude(payload=""), lambda events: events.update(payload="")
    )


def _keep_error(event_id: str, error: Exception) -> None:
    waiting = StripeEvent.objects.filter(pk=event_id, processed_at__isnull=True)
    text = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    waiting.update(attempts=F("attempts") + 1, error=text)
    EVENTS.labels("", "failed").inc()


def _fetch(event: StripeEvent) -> Fetched | None:
    """Return the object that a thin event names, or that a snapshot leaves unexplained.

    Raises PaymentUnavailable, RefusedByStripe for a thin event.
    """
    if not event.is_due or not event.type.startswith((API_V1, DISPUTES)):
        return None
    try:
        body = envelope.parse(event.payload)
        related = _to_fetch(body)
        wanted = related and _handled(event) and not destination.fault_of(body)
        return current_state.fetch(related) if related and wanted else None
    except UnreadableObject:  # `_apply` says so
        return None
    except (PaymentUnavailable, RefusedByStripe):
        if event.type.startswith(API_V1):
            raise
        return None  # reconciliation asks again


def _to_fetch(body: Object) -> Related | None:
    if envelope.is_thin(body):
        related = envelope.related(body)
        return related if current_state.can_fetch(related) else None
    found = envelope.subject(body)
    if not stripe_facts.needs_refunds(found):
        return None
    return Related(stripe_facts.name_in(found, "id"), "dispute")


def _apply(event: StripeEvent, fetched: Fetched | None, now: datetime) -> None:
    try:
        outcome, reason = _outcome(event, fetched, now)
    except UnreadableObject as error:
        outcome, reason = Outcome.UNREADABLE, error.text
    if event.purchase and pseudonyms.is_erased(event.purchase.user_id):
        event.payload = ""  # it still names whom nothing else here does
    _finish(event, outcome, now, reason)
    event.save()


def _outcome(
    event: StripeEvent, fetched: Fetched | None, now: datetime
) -> tuple[Outcome, str | None]:
    body = envelope.parse(event.payload)
    if fault := destination.fault_of(body):
        destination.warn(event.pk, fault)
        return Outcome.IGNORED, fault
    if not _handled(event):
        return Outcome.IGNORED, None
    event.purchase = _applied(event, body, fetched, now)
    return (Outcome.APPLIED if event.purchase else Outcome.UNKNOWN), None


def _applied(
    event: StripeEvent, body: Object, fetched: Fetched | None, now: datetime
) -> Purchase | None:
    if fetched:
        return current_state.apply(fetched, now=now)
    if not envelope.is_thin(body):
        context = EventContext(envelope.subject(body), event.created_at, now)
        return HANDLERS[event.type](context)
    envelope.related(body)
    return None


def _handled(event: StripeEvent) -> bool:
    return event.type.removeprefix(API_V1) in HANDLERS


def _finish(event: StripeEvent, outcome: Outcome, now: datetime, reason: str | None) -> None:
    """Mark an event as processed, with the `reason` why nothing was applied, if there is one."""
    event.outcome = outcome
    event.processed_at = now
    event.error = reason
    event.attempts += 1
    kind = event.type if _handled(event) else "other"
    EVENTS.labels(kind, outcome).inc()
    LAG.observe(max(0.0, (now - event.created_at).total_seconds()))
    log = logger.error if outcome == Outcome.UNREADABLE else logger.info
    log("stripe_event", id=event.pk, type=event.type, outcome=outcome, reason=reason)
