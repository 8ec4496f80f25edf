"""Checkout: start the purchase of a package, first our row and then its payment at Stripe.

The row commits before Stripe is called. If the call fails, an identical retry reuses the row.
Stripe's idempotency keys are derived from the row's id, so no retry creates a second payment.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet

from credits import ledger
from credits.bulkheads import TooBusy
from credits.email_addresses import LENGTH, mailbox
from credits.errors import DomainError
from credits.ledger import Origin, idempotency
from credits.models import Purchase, StripeCustomer
from credits.payments import packages, stripe_api
from credits.payments.packages import PackageUnknown
from credits.payments.stripe_errors import CustomerGone, PaymentUnavailable

T = TypeVar("T")

# Stripe keeps idempotency keys for at least 24 hours. A later retry could create a second payment.
OPENED_WITHIN = timedelta(hours=23)


class PurchaseTooOld(DomainError):
    """The purchase was never opened at Stripe, and is cancelled or older than 23 hours."""

    code = "purchase_too_old"
    status = 409
    message = "This purchase has expired; start a new one"


class ReturnPages(NamedTuple):
    """The pages to which a Checkout Session returns the buyer."""

    success_url: str
    cancel_url: str


def start(
    user_id: str,
    package_id: UUID,
    *,
    pages: ReturnPages | None,
    origin: Origin,
    now: datetime,
    email: str | None = None,
) -> Purchase:
    """Start a purchase and open it at Stripe, as an intent or, with `pages`, a Checkout Session.

    `email` is sent to Stripe only when the user's customer is created there. A replay of the
    idempotency key in `origin` returns the same purchase. Raises PackageUnknown, PurchaseTooOld,
    IdempotencyKeyReused, PaymentUnavailable.
    """
    purchase = _begin(user_id, package_id, pages, origin, now)
    if purchase.opened:
        return purchase
    if now - purchase.created_at > OPENED_WITHIN:
        raise PurchaseTooOld
    try:
        with stripe_api.calling():
            return for_customer(user_id, partial(_open, purchase), email=email, now=now)
    except PaymentUnavailable:
        # Committed although the request fails: an identical request can then reuse the row.
        Purchase.objects.filter(pk=purchase.pk).update(unavailable_at=now)
        raise


def never_opened(*, now: datetime) -> QuerySet[Purchase]:
    """Return the pending purchases that were not opened at Stripe and can no longer be."""
    return Purchase.objects.filter(
        status=Purchase.Status.PENDING,
        stripe_payment_intent_id=None,
        stripe_checkout_session_id=None,
        # An hour more: a request that `start` let pass may still be calling Stripe.
        created_at__lt=now - OPENED_WITHIN - timedelta(hours=1),
    ).order_by("number")


@transaction.atomic
def give_up(purchase: Purchase) -> Purchase | None:
    """Cancel a purchase unless it was opened at Stripe."""
    # Read again under the lock: a retry of the buyer may be opening it.
    left = Purchase.objects.select_for_update().get(pk=purchase.pk)
    if not left.opened:
        left.status = Purchase.Status.CANCELLED
        left.save(update_fields=["status"])
    return left


def for_customer(user_id: str, ask: Callable[[str], T], *, email: str | None, now: datetime) -> T:
    """Call `ask` with the user's customer id at Stripe; again with a new one if it was deleted.

    Raises PaymentUnavailable.
    """
    customer_id = _customer_of(user_id, email, now)
    try:
        return ask(customer_id)
    # An operator deleted the customer at Stripe. One repetition is enough: the new customer exists.
    except CustomerGone:
        return ask(_make_customer(user_id, gone=customer_id))


@transaction.atomic
def _begin(
    user_id: str, package_id: UUID, pages: ReturnPages | None, origin: Origin, now: datetime
) -> Purchase:
    origin = origin.naming("purchase", package_id, "checkout" if pages else "intent")
    # Locks the balance, so that concurrent requests with the same key wait for each other.
    ledger.ensure_balance(user_id, origin=origin)
    if known := idempotency.find(user_id, origin):
        return Purchase.objects.get(pk=known)
    # After the replay: a retry must find its purchase even if the package was retired in between.
    package = packages.offered().filter(pk=package_id).first()
    if package is None:
        raise PackageUnknown
    wanted = Purchase(
        user_id=user_id,
        package=package,
        # Copied, because a later change of the package must not change this purchase.
        credits=package.credits,
        price_euro_cents=package.price_euro_cents,
        expires_after_days=package.expires_after_days,
        success_url=pages and pages.success_url,
        cancel_url=pages and pages.cancel_url,
        request_id=origin.request_id,
        created_at=now,
    )
    purchase = _unfinished(wanted) or wanted
    purchase.unavailable_at = None
    purchase.save()
    idempotency.record(user_id, origin, subject_id=purchase.pk)
    return purchase


def _unfinished(wanted: Purchase) -> Purchase | None:
    """Return an identical purchase that could not be opened because Stripe was unavailable."""
    terms = ("package", "credits", "price_euro_cents", "expires_after_days")
    same = ("user_id", *terms, "success_url", "cancel_url")
    return (
        Purchase.objects.filter(
            **{name: getattr(wanted, name) for name in same},
            status=Purchase.Status.PENDING,
            stripe_payment_intent_id=None,
            stripe_checkout_session_id=None,
            unavailable_at__isnull=False,
            created_at__gt=wanted.created_at - OPENED_WITHIN,
        )
        .select_for_update(skip_locked=True)  # locked: another request is opening it
        .first()
    )


def _customer_of(user_id: str, email: str | None, now: datetime) -> str:
    """Return the user's customer id at Stripe; create the customer if there is none."""
    known = StripeCustomer.objects.filter(user_id=user_id).first()
    if known is None:
        fresh = StripeCustomer(user_id=user_id, email=_known_by(email), created_at=now)
        # Committed before the call to Stripe: its id is in the call's idempotency key, so a retry
        # after a crash creates no second customer.
        StripeCustomer.objects.bulk_create([fresh], ignore_conflicts=True)
    elif known.stripe_customer_id:
        return known.stripe_customer_id
    return _make_customer(user_id)


def _known_by(email: str | None) -> str | None:
    """Return the e-mail address for Stripe, or None if Stripe might reject the customer for it."""
    address = mailbox(email or "")
    try:
        validate_email(address)
    except ValidationError:
        return None
    return address if address.isascii() and len(address) <= LENGTH else None


@transaction.atomic
def _make_customer(user_id: str, *, gone: str | None = None) -> str:
    """Return the Stripe customer id; create a customer if there is none except the deleted `gone`.

    The row's lock makes concurrent first purchases of a user share one customer. Raises TooBusy.
    """
    customer = StripeCustomer.objects.select_for_update().filter(user_id=user_id).first()
    if customer is None:  # deleted by an erasure
        raise TooBusy
    if customer.stripe_customer_id is None or customer.stripe_customer_id == gone:
        customer.stripe_customer_id = stripe_api.create_customer(customer, after=gone)
        customer.save(update_fields=["stripe_customer_id"])
    return customer.stripe_customer_id


@transaction.atomic
def _open(begun: Purchase, customer_id: str) -> Purchase:
    # The row stays locked during the call to Stripe, so that concurrent retries open it once.
    purchase = Purchase.objects.select_for_update().get(pk=begun.pk)
    if purchase.user_id != begun.user_id:  # erased: the row must not name the customer any more
        raise PurchaseTooOld
    if purchase.opened:
        return purchase
    if purchase.status == Purchase.Status.CANCELLED:
        raise PurchaseTooOld
    # Stored with the purchase, because the user may get another customer later.
    purchase.stripe_customer_id = customer_id
    if purchase.success_url:
        session = stripe_api.create_session(purchase)
        purchase.stripe_checkout_session_id = session["id"]
        purchase.checkout_url = session["url"]
    else:
        intent = stripe_api.create_intent(purchase)
        purchase.stripe_payment_intent_id = intent["id"]
        purchase.client_secret = intent["client_secret"]
    purchase.save()
    return purchase
