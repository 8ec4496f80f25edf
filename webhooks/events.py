"""Events: stored, then applied once, with the mark that says so in the same transaction.

A handler reads the event's object and makes one call of the domain, which keys effects by the
object, so that two events about one thing are one effect.
"""

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from django.db import transaction
from django.db.models import F
from prometheus_client import Counter, Histogram

from credits import pseudonyms
from credits.errors import DomainError
from credits.models import Purchase, Return
from credits.payments import money_back, purchases, stripe_facts
from webhooks.models import StripeEvent

State = Return.State
Outcome = StripeEvent.Outcome
EVENTS = Counter(
    "mana_credits_stripe_events_total", "Events of Stripe by type and outcome.", ("type", "outcome")
)
LAG = Histogram(
    "mana_credits_stripe_event_lag_seconds",
    "How long after Stripe made an event it was applied here.",
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400),
)
LONGEST_TRACEBACK = 10_000
LONGEST_NAME = 255
EMPTIED_AT_ONCE = 1_000

logger = structlog.get_logger(__name__)


class InvalidEvent(DomainError):
    """It is signed, and no event."""

    code = "invalid_event"
    message = "This is no event"
    says_error = True


class News(NamedTuple):
    """An event's object, when Stripe made the event, and our clock."""

    object: Mapping[str, Any]
    at: datetime
    now: datetime


Handler = Callable[[News], Purchase | None]


def receive(payload: bytes, *, now: datetime) -> StripeEvent:
    """Store an event whose signature was verified, apply it, and return it. Raises InvalidEvent.

    When applying fails the event stays, with the traceback, for the next delivery or `process_all`.
    """
    event = _event_of(payload, now)
    StripeEvent.objects.bulk_create([event], ignore_conflicts=True)
    process(event.pk, now=now)
    return event


def process(event_id: str, *, now: datetime) -> None:
    """Apply a stored event unless that was done before; what it raises is also kept with it."""
    try:
        with transaction.atomic():
            event = StripeEvent.objects.select_for_update().get(pk=event_id)
            if event.processed_at is None:
                _apply(event, now)
    except Exception:
        waiting = StripeEvent.objects.filter(pk=event_id, processed_at__isnull=True)
        error = traceback.format_exc()[-LONGEST_TRACEBACK:]
        waiting.update(attempts=F("attempts") + 1, error=error)
        EVENTS.labels("", "failed").inc()
        raise


def process_all(*, now: datetime) -> Iterator[tuple[str, Exception | None]]:
    """Try all events again that were stored and not processed; yield each with what it raised."""
    waiting = StripeEvent.objects.filter(processed_at__isnull=True).order_by("created_at", "pk")
    for event_id in waiting.values_list("pk", flat=True):
        yield event_id, attempt(event_id, now=now)


def attempt(event_id: str, *, now: datetime) -> Exception | None:
    """Process a stored event and return what it raised, which is also kept with it."""
    try:
        process(event_id, now=now)
    except Exception as error:  # noqa: BLE001  # one that fails must not stop the others
        return error
    return None


def empty_payloads(*, received_before: datetime) -> Iterator[int]:
    """Empty the payloads of processed events that were received before then; yield counts.

    Ids, types, times and outcomes stay, so that an event which comes again is still known.
    """
    processed = StripeEvent.objects.filter(
        processed_at__isnull=False, received_at__lt=received_before
    )
    old = list(processed.exclude(payload="").values_list("pk", flat=True))
    for start in range(0, len(old), EMPTIED_AT_ONCE):
        yield processed.filter(pk__in=old[start : start + EMPTIED_AT_ONCE]).update(payload="")


def _event_of(payload: bytes, now: datetime) -> StripeEvent:
    try:
        body = json.loads(payload)
        return StripeEvent(
            id=_name(body["id"]),
            type=_name(body["type"]),
            payload=payload.decode(),
            created_at=datetime.fromtimestamp(body["created"], UTC),
            received_at=now,
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
        raise InvalidEvent from error


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or "\0" in value:
        raise ValueError("not a name")
    return value


def _apply(event: StripeEvent, now: datetime) -> None:
    handler = HANDLERS.get(event.type)
    if handler is None:
        event.outcome = Outcome.IGNORED
    else:
        news = News(json.loads(event.payload)["data"]["object"], event.created_at, now)
        event.purchase = handler(news)
        event.outcome = Outcome.APPLIED if event.purchase else Outcome.UNKNOWN
        if event.purchase and pseudonyms.is_erased(event.purchase.user_id):
            event.payload = ""  # it still names whom nothing else here does
    event.processed_at = now
    event.error = None
    event.attempts += 1
    event.save()
    EVENTS.labels(event.type if handler else "other", event.outcome).inc()
    LAG.observe(max(0.0, (now - event.created_at).total_seconds()))
    logger.info("stripe_event", id=event.pk, type=event.type, outcome=event.outcome)


def _intent_succeeded(news: News) -> Purchase | None:
    return purchases.complete(stripe_facts.of_intent(news.object), at=news.at, now=news.now)


def _intent_processing(news: News) -> Purchase | None:
    return purchases.process(stripe_facts.of_intent(news.object), at=news.at)


def _intent_failed(news: News) -> Purchase | None:
    return purchases.fail(stripe_facts.of_intent(news.object), at=news.at)


def _intent_canceled(news: News) -> Purchase | None:
    return purchases.cancel(stripe_facts.of_intent(news.object), at=news.at)


def _session_completed(news: News) -> Purchase | None:
    session = stripe_facts.of_session(news.object)
    if session.status == "unpaid":  # the money of a SEPA debit takes days
        return purchases.process(session, at=news.at)
    return purchases.complete(session, at=news.at, now=news.now)


def _session_failed(news: News) -> Purchase | None:
    return purchases.fail(stripe_facts.of_session(news.object), at=news.at)


def _session_expired(news: News) -> Purchase | None:
    return purchases.cancel(stripe_facts.of_session(news.object), at=news.at)


def _refund(news: News) -> Purchase | None:
    return money_back.record(stripe_facts.of_refund(news.object), now=news.now)


def _charge_refunded(news: News) -> Purchase | None:
    return money_back.cross_check(
        stripe_facts.id_of(news.object.get("payment_intent")),
        refunded_cents=news.object["amount_refunded"],
    )


def _dispute(at_least: str) -> Handler:
    def handler(news: News) -> Purchase | None:
        fact = stripe_facts.of_dispute(news.object, at_least=at_least)
        return money_back.record(fact, now=news.now)

    return handler


HANDLERS: Mapping[str, Handler] = {
    "payment_intent.succeeded": _intent_succeeded,
    "payment_intent.processing": _intent_processing,
    "payment_intent.payment_failed": _intent_failed,
    "payment_intent.canceled": _intent_canceled,
    "checkout.session.completed": _session_completed,
    "checkout.session.async_payment_succeeded": _session_completed,
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _session_expired,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.refunded": _charge_refunded,
    "charge.dispute.created": _dispute(State.OPEN),
    "charge.dispute.funds_withdrawn": _dispute(State.GONE),
    "charge.dispute.funds_reinstated": _dispute(State.RETURNED),
    "charge.dispute.closed": _dispute(State.OPEN),
}
