"""Events: stored first, then applied once. The processed mark commits together with the effects.

A signed event is never rejected. An unreadable event, or one of another account or mode, is stored
with the reason and not retried.
"""

import traceback
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from prometheus_client import Counter, Histogram

from credits import due_rows, pseudonyms
from credits.due_rows import DueWork, Settled
from credits.models import Purchase
from credits.payments import current_state
from credits.payments.current_state import FetchedObject
from credits.payments.stripe_errors import PaymentUnavailable, RefusedByStripe
from credits.payments.stripe_fields import UnreadableObject
from webhooks import destination, envelope
from webhooks.envelope import API_V1, Object, RelatedObject
from webhooks.handlers import HANDLERS, EventContext
from webhooks.models import StripeEvent

Outcome = StripeEvent.Outcome
EVENTS = Counter(
    "mana_credits_stripe_events_total", "Stripe events by type and outcome.", ("type", "outcome")
)
LAG = Histogram(
    "mana_credits_stripe_event_lag_seconds",
    "Seconds from the creation of an event at Stripe to its processing here.",
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400),
)
DISPUTES = "charge.dispute."
LONGEST_TRACEBACK = 10_000
PROCESS_JOB = "process_stripe_events"
SHOWN_FOR = timedelta(days=30)

logger = structlog.get_logger(__name__)


def receive(payload: bytes, *, now: datetime) -> StripeEvent:
    """Store an event with a verified signature, apply it, and return it.

    If applying fails, the error is raised; the event stays stored with its traceback, for the next
    delivery or `process_due`. A failed thin event raises nothing, because fetching its object
    depends on Stripe: `process_due` retries it.
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
    # Commits on its own: the event must be kept if applying it fails. A known event conflicts.
    new = StripeEvent.objects.bulk_create([event], ignore_conflicts=True)
    if read.fault:
        return new[0]
    if envelope.is_thin(envelope.parse(read.text)):
        attempt(event.pk, now=now)
    else:
        process(event.pk, now=now)
    return event


def process(event_id: str, *, now: datetime) -> None:
    """Apply a stored event if it is due. An error is stored with the event and raised.

    An event that was unreadable is tried again, because a newer release may be able to read it.
    """
    try:
        fetched = _fetch(StripeEvent.objects.get(pk=event_id))  # calls Stripe before locking rows
        with transaction.atomic():
            # Locked before it is checked: Stripe may deliver the same event twice at the same time.
            event = StripeEvent.objects.select_for_update().get(pk=event_id)
            if event.is_due:
                _apply(event, fetched, now)
    except Exception as error:
        _keep_error(event_id, error)
        raise


def process_due(*, now: datetime, limit: int) -> Iterator[Settled]:
    """Apply up to `limit` unprocessed events, oldest first; yield the result of each.

    Each event has its own transaction (see `due_rows.settle_each`), and an error is stored with the
    event. Any number of processes may run this at the same time. While a thin event's object is
    fetched, which has a deadline, only the event's row is locked. After one failed call Stripe is
    not called again in this run, because every further call could take the whole deadline.
    """
    outages: list[PaymentUnavailable] = []

    def apply(event: StripeEvent) -> str:
        # Raised again for each later thin event, so that its row is postponed like the first.
        if outages and event.type.startswith(API_V1):
            raise outages[0]
        try:
            fetched = _fetch(event)
        except PaymentUnavailable as error:
            outages.append(error)
            raise
        _apply(event, fetched, now)
        return "processed"

    work = DueWork(
        PROCESS_JOB,
        StripeEvent.objects.filter(processed_at__isnull=True),
        "created_at",
        apply,
        owner=None,
        on_failure=_keep_error,
    )
    return due_rows.settle_each(work, now=now, limit=limit)


def attempt(event_id: str, *, now: datetime) -> Exception | None:
    """Process a stored event and return the error, if any; it is also stored with the event."""
    try:
        process(event_id, now=now)
    except Exception as error:  # noqa: BLE001  # one failed event must not stop the others
        return error
    return None


def unreadable(*, now: datetime) -> QuerySet[StripeEvent]:
    """Return the unreadable events of the last 30 days."""
    since = now - SHOWN_FOR
    return StripeEvent.objects.filter(outcome=Outcome.UNREADABLE, received_at__gte=since)


def empty_payloads(*, received_before: datetime) -> Iterator[int]:
    """Empty the payloads of processed events received before then; yield the count per batch.

    Ids, types, times and outcomes are kept, so that a repeated delivery is still recognised.
    """
    processed = StripeEvent.objects.filter(
        processed_at__isnull=False, received_at__lt=received_before
    )
    return due_rows.change_free(
        processed.exclude(payload=""), lambda events: events.update(payload="")
    )


def _keep_error(event_id: str, error: Exception) -> None:
    # After the rollback of the effects. Another delivery of the event may have succeeded meanwhile.
    waiting = StripeEvent.objects.filter(pk=event_id, processed_at__isnull=True)
    text = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    waiting.update(attempts=F("attempts") + 1, error=text)
    EVENTS.labels("", "failed").inc()


def _fetch(event: StripeEvent) -> FetchedObject | None:
    """Fetch the object of a thin event, or of a snapshot whose movements need an explanation.

    Returns None for all other events. Raises PaymentUnavailable, RefusedByStripe for a thin event.
    """
    if not event.is_due or not event.type.startswith((API_V1, DISPUTES)):
        return None
    try:
        body = envelope.parse(event.payload)
        related = _to_fetch(body)
        wanted = related and _handled(event) and not destination.fault_of(body)
        return current_state.fetch(related.type, related.id) if related and wanted else None
    except UnreadableObject:  # `_apply` records it
        return None
    except (PaymentUnavailable, RefusedByStripe):
        if event.type.startswith(API_V1):
            raise
        return None  # reconciliation asks again


def _to_fetch(body: Object) -> RelatedObject | None:
    if envelope.is_thin(body):
        related = envelope.related(body)
        return related if current_state.can_fetch(related.type) else None
    dispute_id = current_state.dispute_to_fetch(envelope.subject(body))
    return RelatedObject(dispute_id, "dispute") if dispute_id else None


def _apply(event: StripeEvent, fetched: FetchedObject | None, now: datetime) -> None:
    try:
        outcome, reason = _outcome(event, fetched, now)
    except UnreadableObject as error:
        outcome, reason = Outcome.UNREADABLE, error.text
    if event.purchase and pseudonyms.is_erased(event.purchase.user_id):
        event.payload = ""  # the payload may name an erased person
    _finish(event, outcome, now, reason)
    event.save()


def _outcome(
    event: StripeEvent, fetched: FetchedObject | None, now: datetime
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
    event: StripeEvent, body: Object, fetched: FetchedObject | None, now: datetime
) -> Purchase | None:
    if fetched:
        return current_state.apply(fetched, now=now)
    if not envelope.is_thin(body):
        context = EventContext(envelope.subject(body), event.created_at, now)
        # The body, not the prefix of the type, shows whether an event is thin.
        return HANDLERS[event.type.removeprefix(API_V1)](context)
    # Raises if the reference is unreadable. Otherwise Stripe does not have the object.
    envelope.related(body)
    return None


def _handled(event: StripeEvent) -> bool:
    return event.type.removeprefix(API_V1) in HANDLERS


def _finish(event: StripeEvent, outcome: Outcome, now: datetime, reason: str | None) -> None:
    """Mark an event as processed, with the reason if nothing was applied."""
    event.outcome = outcome
    event.processed_at = now
    event.error = reason
    event.attempts += 1
    # Stripe has hundreds of types, and each label is a time series.
    kind = event.type if _handled(event) else "other"
    EVENTS.labels(kind, outcome).inc()
    # Stripe's clock may be ahead of ours.
    LAG.observe(max(0.0, (now - event.created_at).total_seconds()))
    log = logger.error if outcome == Outcome.UNREADABLE else logger.info
    log("stripe_event", id=event.pk, type=event.type, outcome=outcome, reason=reason)
