"""The client of Stripe's API. `saved_cards` uses it too; no other module calls Stripe.

Calls have idempotency keys derived from our rows' ids, a deadline and a limited number of retries.
A bulkhead limits the threads of a process that call Stripe, so that buyers do not take the threads
that serve spends. `credits.payments.stripe_facts` reads the answers as plain JSON. Every function
may raise PaymentUnavailable.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import stripe
import structlog
from django.conf import settings

from credits import http_deadline
from credits.amounts import with_unit
from credits.bulkheads import Bulkhead
from credits.models import MoneyBack, Purchase, StripeCustomer
from credits.payments import stripe_session
from credits.payments.purchase_parameters import metadata_of, naming, opening_key
from credits.payments.stripe_errors import (
    CardDeclined,
    CustomerGone,
    PageRefused,
    PaymentUnavailable,
    RefusedByStripe,
)

API_VERSION = "2026-10-28.endive"
TRY_SECONDS = 5
CALL_SECONDS = 12  # for a call including its retries
RETRIES = 2
CURRENCY = "eur"
METHODS: Any = ["card", "sepa_debit"]
PAGES = {"success_url": "successUrl", "cancel_url": "cancelUrl"}
PAGE = 100
WAITS_FOR_RATE_LIMIT = (1, 2, 4, 8, 16)  # seconds

Object = dict[str, Any]
logger = structlog.get_logger(__name__)


# Most calls take less than the patience, so that buyers at the same moment are not refused. One
# waits at a time: webhooks and refunds call Stripe, too, and a thread must stay free for spends.
_waiting = Bulkhead("stripe", refusal=PaymentUnavailable, patience=1, waiters=1)


def calling() -> AbstractContextManager[None]:
    """Hold a place in the bulkhead of Stripe during the block; raise PaymentUnavailable if full.

    A caller that locks rows for a call must take the place before the locks. Otherwise other
    requests wait for the locked rows.
    """
    return _waiting.place()


@cache
def _client(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base} if base else None,
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(session=stripe_session.session(TRY_SECONDS)),
    )


def v1() -> stripe.V1Services:
    """Return the client's services."""
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE).v1


@contextmanager
def asking() -> Iterator[None]:
    """Translate a call's error to PaymentUnavailable, CustomerGone or CardDeclined."""
    try:
        with calling(), http_deadline.within(CALL_SECONDS):
            yield
    except stripe.InvalidRequestError as error:
        # Customers can be deleted at Stripe's dashboard. The caller creates another one.
        if (error.code, error.param) == ("resource_missing", "customer"):
            raise CustomerGone from error
        raise
    # Only a charge of a saved card is declined here. Buyers confirm other payments at Stripe.
    except stripe.CardError as error:
        failed = getattr(error.error, "payment_intent", None)
        raise CardDeclined(error.code or "", failed["id"] if failed else None) from error
    except stripe.StripeError as error:
        kind = type(error).__name__
        logger.warning("payment_unavailable", error=kind, status=error.http_status)
        # A rejected key counts as unavailable, too: the buyer cannot change it, and a retry works
        # after the correction.
        raise PaymentUnavailable from error


@contextmanager
def changing() -> Iterator[None]:
    """Translate errors as `asking` does, and rejected parameters to RefusedByStripe."""
    try:
        with asking():
            yield
    except stripe.InvalidRequestError as error:
        raise RefusedByStripe(error.user_message, error.code or "") from error


@contextmanager
def asking_with_pages() -> Iterator[None]:
    """Translate errors as `asking` does, and a rejected return URL to PageRefused."""
    try:
        with asking():
            yield
    except stripe.InvalidRequestError as error:
        if error.param in PAGES:
            text = error.user_message or PageRefused.message
            raise PageRefused(text, **{PAGES[error.param]: [text]}) from error
        raise


def create_customer(row: StripeCustomer, *, after: str | None = None) -> str:
    """Create the customer of our `row`, or its successor if `after` was deleted; return its id."""
    # The key names the deleted predecessor. Otherwise Stripe would answer with that one again.
    key = f"customer-{row.pk}-{after}" if after else f"customer-{row.pk}"
    known: stripe.params.CustomerCreateParams = {"metadata": {"userId": row.user_id}}
    if row.email:
        known["email"] = row.email
    with asking():
        return v1().customers.create(known, {"idempotency_key": key}).id


def create_intent(purchase: Purchase) -> Object:
    """Create the payment intent of a purchase."""
    with asking():
        intent = v1().payment_intents.create(
            {
                "amount": purchase.price_euro_cents,
                "currency": CURRENCY,
                "customer": purchase.stripe_customer_id or "",
                "allowed_payment_method_types": METHODS,
                "metadata": metadata_of(purchase),
            },
            opening_key(purchase),
        )
    return as_json(intent)


def create_session(purchase: Purchase) -> Object:
    """Create the Checkout Session of a purchase at our price, open for 24 hours.

    Raises PageRefused.
    """
    product = {
        "currency": CURRENCY,
        "unit_amount": purchase.price_euro_cents,
        "product_data": {"name": with_unit(purchase.credits)},
    }
    params: Any = {
        "mode": "payment",
        "customer": purchase.stripe_customer_id,
        "allowed_payment_method_types": METHODS,
        "line_items": [{"quantity": 1, "price_data": product}],
        "success_url": naming(purchase, purchase.success_url),
        "cancel_url": naming(purchase, purchase.cancel_url),
        # Otherwise Stripe may charge foreign buyers in their own currency, not our price in euros.
        "adaptive_pricing": {"enabled": False},
        "expires_at": int(purchase.session_end.timestamp()),
        "metadata": metadata_of(purchase),
        "payment_intent_data": {"metadata": metadata_of(purchase)},
    }
    if settings.STRIPE_INVOICES:
        invoice = {"enabled": True, "invoice_data": {"metadata": metadata_of(purchase)}}
        params["invoice_creation"] = invoice
    with asking_with_pages():
        return as_json(v1().checkout.sessions.create(params, opening_key(purchase)))


def create_refund(asked: MoneyBack) -> Object:
    """Create the refund that an operator requested. Raises RefusedByStripe."""
    with changing():
        refund = v1().refunds.create(
            {
                "payment_intent": asked.stripe_payment_intent_id,
                "amount": asked.amount_cents,
                "metadata": {"returnId": str(asked.pk)},
            },
            {"idempotency_key": f"return-{asked.pk}"},
        )
    return as_json(refund)


def expire_session(session_id: str) -> Object:
    """Expire a Checkout Session. Raises RefusedByStripe if it is not open."""
    with changing():
        return as_json(v1().checkout.sessions.expire(session_id))


def cancel_intent(intent_id: str) -> Object:
    """Cancel a payment intent. Raises RefusedByStripe if it is paid or being paid."""
    with changing():
        return as_json(v1().payment_intents.cancel(intent_id))


def intent(intent_id: str) -> Object | None:
    """Fetch a payment intent with its latest charge; None if Stripe does not have it."""
    return found_at(v1().payment_intents.retrieve, intent_id, {"expand": ["latest_charge"]})


def session(session_id: str) -> Object | None:
    """Fetch a Checkout Session; None if Stripe does not have it."""
    return found_at(v1().checkout.sessions.retrieve, session_id)


def refund(refund_id: str) -> Object | None:
    """Fetch a refund; None if Stripe does not have it."""
    return found_at(v1().refunds.retrieve, refund_id)


def dispute(dispute_id: str) -> Object | None:
    """Fetch a dispute; None if Stripe does not have it."""
    return found_at(v1().disputes.retrieve, dispute_id)


def charge(charge_id: str) -> Object | None:
    """Fetch a charge; None if Stripe does not have it."""
    return found_at(v1().charges.retrieve, charge_id)


def invoice(invoice_id: str) -> Object | None:
    """Fetch an invoice; None if Stripe does not have it."""
    return found_at(v1().invoices.retrieve, invoice_id)


def intents(since: datetime) -> Iterator[Object]:
    """Yield the payment intents created since then, with their latest charge, newest first."""
    expanded = {"expand": ["data.latest_charge"]}
    return _listed(v1().payment_intents.list, {**_since(since), **expanded})


def refunds(since: datetime) -> Iterator[Object]:
    """Yield the refunds created since then, newest first."""
    return _listed(v1().refunds.list, _since(since))


def refunds_of(intent_id: str) -> Iterator[Object]:
    """Yield the refunds of a payment, newest first."""
    return _listed(v1().refunds.list, {"payment_intent": intent_id})


def disputes(since: datetime) -> Iterator[Object]:
    """Yield the disputes created since then, newest first."""
    return _listed(v1().disputes.list, _since(since))


def found_at(retrieve: Any, identifier: str, *options: Any) -> Object | None:
    """Fetch an object; return None if Stripe does not have it. Raises RefusedByStripe."""
    try:
        return as_json(_patiently(retrieve, identifier, *options))
    except stripe.InvalidRequestError as error:
        if error.http_status == 404:
            return None
        raise RefusedByStripe(error.user_message) from error


def _since(moment: datetime) -> dict[str, Any]:
    return {"created": {"gte": int(moment.timestamp())}}


def _listed(fetch: Any, wanted: dict[str, Any]) -> Iterator[Object]:
    params = {"limit": PAGE, **wanted}
    while True:
        page = _patiently(fetch, params)
        yield from map(as_json, page.data)
        if not page.has_more:
            return
        params = {**params, "starting_after": page.data[-1].id}


def _patiently(call: Any, *arguments: Any) -> Any:
    # Only reads wait for the rate limit: a reconciliation makes many, and buyers make none.
    for wait in WAITS_FOR_RATE_LIMIT:
        try:
            with asking():
                return call(*arguments)
        except PaymentUnavailable as error:
            if not isinstance(error.__cause__, stripe.RateLimitError):
                raise
            time.sleep(wait)
    with asking():
        return call(*arguments)


def as_json(found: stripe.StripeObject) -> Object:
    """Return Stripe's object as plain JSON."""
    return found.to_dict()
