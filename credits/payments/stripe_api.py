"""Every call to Stripe, and no other module makes one.

Calls carry idempotency keys made of our rows' ids, a deadline and bounded retries. Only a few
threads of a process call at once: buyers must not take all the threads that serve spends. What
comes back is read as plain JSON by `credits.payments.stripe_facts`. Any function may raise
PaymentUnavailable.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import stripe
import structlog
from django.conf import settings

from credits import http_deadline
from credits.amounts import plain
from credits.bulkheads import Bulkhead
from credits.errors import DomainError
from credits.models import Purchase, Return, StripeCustomer

API_VERSION = "2026-10-28.endive"
TRY_SECONDS = 5
CALL_SECONDS = 12  # for a call with its retries
RETRIES = 2
CURRENCY = "eur"
METHODS: Any = ["card", "sepa_debit"]
SESSION_LIFETIME = timedelta(hours=24) - timedelta(minutes=1)  # Stripe's longest, and our clock's
PAGES = {"success_url": "successUrl", "cancel_url": "cancelUrl"}
PAGE = 100
WAITS_FOR_RATE_LIMIT = (1, 2, 4, 8, 16)  # seconds

Object = dict[str, Any]
logger = structlog.get_logger(__name__)


class PaymentUnavailable(DomainError):
    """Stripe cannot be reached, or not asked with our key; it is worth trying again."""

    code = "payment_unavailable"
    status = 503
    message = "Payments are unavailable for a moment"
    retry_after = 5


class CustomerGone(PaymentUnavailable):
    """The buyer's customer was deleted at Stripe; with a new one it is worth trying again."""


_waiting = Bulkhead("stripe", refusal=PaymentUnavailable)


def calling() -> AbstractContextManager[None]:
    """Hold a place among the threads that may wait for Stripe; raise PaymentUnavailable.

    Whoever locks rows for a call takes the place first, else others would wait for the rows.
    """
    return _waiting.place()


class RefusedByStripe(DomainError):
    """Stripe does not do what was asked; the message says why."""

    code = "refused_by_stripe"
    status = 409
    message = "Stripe refused"


class PageRefused(DomainError):
    """Stripe refuses to lead a buyer to an address. Details: the field's name and Stripe's text."""

    code = "page_refused"
    message = "Stripe does not accept this address"


@cache
def _client(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base} if base else None,
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(session=http_deadline.session(TRY_SECONDS)),
    )


def _v1() -> stripe.V1Services:
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE).v1


@contextmanager
def _asking() -> Iterator[None]:
    try:
        with calling(), http_deadline.within(CALL_SECONDS):
            yield
    except stripe.InvalidRequestError as error:
        if (error.code, error.param) == ("resource_missing", "customer"):
            raise CustomerGone from error
        raise
    except stripe.StripeError as error:
        kind = type(error).__name__
        logger.warning("payment_unavailable", error=kind, status=error.http_status)
        raise PaymentUnavailable from error


def create_customer(row: StripeCustomer, *, after: str | None = None) -> str:
    """Make the customer of our `row`, or the one `after` one that is gone; return its id."""
    key = f"customer-{row.pk}-{after}" if after else f"customer-{row.pk}"
    known: stripe.params.CustomerCreateParams = {"metadata": {"userId": row.user_id}}
    if row.email:
        known["email"] = row.email
    with _asking():
        return _v1().customers.create(known, {"idempotency_key": key}).id


def create_intent(purchase: Purchase) -> Object:
    """Make the payment intent of a purchase."""
    with _asking():
        intent = _v1().payment_intents.create(
            {
                "amount": purchase.price_euro_cents,
                "currency": CURRENCY,
                "customer": purchase.stripe_customer_id or "",
                "allowed_payment_method_types": METHODS,
                "metadata": _metadata(purchase),
            },
            _opening(purchase),
        )
    return _plain(intent)


def create_session(purchase: Purchase) -> Object:
    """Make the Checkout Session of a purchase, at our price, open for 24 hours.

    Raises PageRefused.
    """
    product = {
        "currency": CURRENCY,
        "unit_amount": purchase.price_euro_cents,
        "product_data": {"name": f"{plain(purchase.credits)} credits"},
    }
    params: Any = {
        "mode": "payment",
        "customer": purchase.stripe_customer_id,
        "allowed_payment_method_types": METHODS,
        "line_items": [{"quantity": 1, "price_data": product}],
        "success_url": purchase.success_url,
        "cancel_url": purchase.cancel_url,
        # Otherwise buyers elsewhere pay in their own currency, which is not the price agreed on.
        "adaptive_pricing": {"enabled": False},
        "expires_at": int((purchase.created_at + SESSION_LIFETIME).timestamp()),
        "metadata": _metadata(purchase),
        "payment_intent_data": {"metadata": _metadata(purchase)},
    }
    if settings.STRIPE_INVOICES:
        invoice = {"enabled": True, "invoice_data": {"metadata": _metadata(purchase)}}
        params["invoice_creation"] = invoice
    try:
        with _asking():
            session = _v1().checkout.sessions.create(params, _opening(purchase))
    except stripe.InvalidRequestError as error:
        if error.param in PAGES:
            text = error.user_message or PageRefused.message
            raise PageRefused(text, **{PAGES[error.param]: [text]}) from error
        raise
    return _plain(session)


def create_refund(asked: Return) -> Object:
    """Refund what an operator asked for. Raises RefusedByStripe."""
    try:
        with _asking():
            refund = _v1().refunds.create(
                {
                    "payment_intent": asked.stripe_payment_intent_id,
                    "amount": asked.amount_cents,
                    "metadata": {"returnId": str(asked.pk)},
                },
                {"idempotency_key": f"return-{asked.pk}"},
            )
    except stripe.InvalidRequestError as error:
        raise RefusedByStripe(error.user_message) from error
    return _plain(refund)


def intent(intent_id: str) -> Object | None:
    """Return a payment intent with its latest charge, None when Stripe has none."""
    return _found(_v1().payment_intents.retrieve, intent_id, {"expand": ["latest_charge"]})


def session(session_id: str) -> Object | None:
    """Return a Checkout Session, None when Stripe has none."""
    return _found(_v1().checkout.sessions.retrieve, session_id)


def refund(refund_id: str) -> Object | None:
    """Return a refund, None when Stripe has none."""
    return _found(_v1().refunds.retrieve, refund_id)


def dispute(dispute_id: str) -> Object | None:
    """Return a dispute, None when Stripe has none."""
    return _found(_v1().disputes.retrieve, dispute_id)


def charge(charge_id: str) -> Object | None:
    """Return a charge, None when Stripe has none."""
    return _found(_v1().charges.retrieve, charge_id)


def invoice(invoice_id: str) -> Object | None:
    """Return an invoice, None when Stripe has none."""
    return _found(_v1().invoices.retrieve, invoice_id)


def intents(since: datetime) -> Iterator[Object]:
    """Yield the payment intents made since then, with their latest charge, newest first."""
    expanded = {"expand": ["data.latest_charge"]}
    return _listed(_v1().payment_intents.list, {**_since(since), **expanded})


def refunds(since: datetime) -> Iterator[Object]:
    """Yield the refunds made since then, newest first."""
    return _listed(_v1().refunds.list, _since(since))


def refunds_of(intent_id: str) -> Iterator[Object]:
    """Yield the refunds of a payment, newest first."""
    return _listed(_v1().refunds.list, {"payment_intent": intent_id})


def disputes(since: datetime) -> Iterator[Object]:
    """Yield the disputes made since then, newest first."""
    return _listed(_v1().disputes.list, _since(since))


def _found(retrieve: Any, identifier: str, *options: Any) -> Object | None:
    try:
        return _plain(_patiently(retrieve, identifier, *options))
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
        yield from map(_plain, page.data)
        if not page.has_more:
            return
        params = {**params, "starting_after": page.data[-1].id}


def _patiently(call: Any, *arguments: Any) -> Any:
    for wait in WAITS_FOR_RATE_LIMIT:
        try:
            with _asking():
                return call(*arguments)
        except PaymentUnavailable as error:
            if not isinstance(error.__cause__, stripe.RateLimitError):
                raise
            time.sleep(wait)
    with _asking():
        return call(*arguments)


def _opening(purchase: Purchase) -> Any:
    """Return the options of a call that opens a purchase; the key says all that may differ."""
    return {"idempotency_key": f"purchase-{purchase.pk}-{purchase.stripe_customer_id}"}


def _metadata(purchase: Purchase) -> dict[str, str]:
    return {
        "userId": purchase.user_id,
        "packageId": str(purchase.package_id),
        "purchaseId": str(purchase.pk),
    }


def _plain(found: stripe.StripeObject) -> Object:
    return found.to_dict()
