"""Buyers cancel unpaid purchases, and see why one was not paid."""

from datetime import UTC, datetime
from unittest.mock import patch

import pytest

from credits.models import Package, Purchase
from credits.payments.stripe_errors import PaymentUnavailable
from tests.api import Caller
from tests.stripe import PAGES, Stripe, buy, deliver

pytestmark = pytest.mark.django_db


def status_at_stripe(stripe: Stripe) -> str:
    """Return the status of the only payment intent."""
    found: str = stripe.get("payment_intents")["data"][0]["status"]
    return found


def test_an_unpaid_checkout_is_cancelled_here_and_at_stripe(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter, **PAGES).json()
    session = started["checkoutUrl"].rpartition("/")[2]
    before = alice.get(f"purchase/{started['purchaseId']}").json()

    answer = alice.post(f"purchase/{started['purchaseId']}/cancel", {})

    assert answer.status_code == 200
    assert before["checkoutUrl"] == started["checkoutUrl"]
    assert before["payableUntil"] > before["createdAt"]
    assert (answer.json()["status"], answer.json()["checkoutUrl"]) == ("cancelled", None)
    assert stripe.get(f"checkout/sessions/{session}")["status"] == "expired"
    again = alice.post(f"purchase/{started['purchaseId']}/cancel", {})
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


def test_an_unpaid_intent_is_cancelled_here_and_at_stripe(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()

    answer = alice.post(f"purchase/{started['purchaseId']}/cancel", {})

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.json()["payableUntil"] is None
    assert status_at_stripe(stripe) == "canceled"


@pytest.mark.parametrize("pages", [{}, PAGES])
def test_a_purchase_paid_at_stripe_is_not_cancelled(
    alice: Caller, starter: Package, stripe: Stripe, pages: dict[str, str]
) -> None:
    started = buy(alice, starter, **pages).json()
    stripe.pay(started["purchaseId"])

    unreported = alice.post(f"purchase/{started['purchaseId']}/cancel", {})
    for event in stripe.events():
        deliver(event)
    reported = alice.post(f"purchase/{started['purchaseId']}/cancel", {})

    assert [unreported.status_code, reported.status_code] == [409, 409]
    assert unreported.json()["code"] == "purchase_not_cancellable"
    assert alice.get("balance").json()["balance"] == 500


def test_a_payment_reported_during_the_cancellation_wins(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()
    stripe.pay(started["purchaseId"])
    intent = stripe.get("payment_intents")["data"][0]

    def pay_meanwhile(_: str) -> dict[str, object]:
        for event in stripe.events():
            deliver(event)
        return {**intent, "status": "canceled"}

    with patch("credits.payments.stripe_api.cancel_intent", side_effect=pay_meanwhile):
        answer = alice.post(f"purchase/{started['purchaseId']}/cancel", {})

    assert answer.status_code == 409
    assert Purchase.objects.get().status == "completed"


def test_a_purchase_that_stripe_never_saw_is_cancelled_and_stays_so(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    with patch("credits.payments.stripe_api.create_session", side_effect=PaymentUnavailable):
        away = buy(alice, starter, **PAGES, idempotencyKey="k")
    purchase = Purchase.objects.get()

    answer = alice.post(f"purchase/{purchase.pk}/cancel", {})
    retry = buy(alice, starter, **PAGES, idempotencyKey="k")

    assert away.status_code == 503
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (retry.status_code, retry.json()["code"]) == (409, "purchase_too_old")


@pytest.mark.parametrize("automatic", [False, True])
@pytest.mark.parametrize("under_review", [False, True])
@pytest.mark.parametrize("status", ["pending", "processing", "failed", "cancelled"])
def test_cancelling_is_offered_exactly_where_it_is_possible(
    alice: Caller,
    starter: Package,
    stripe: Stripe,
    status: str,
    under_review: bool,
    automatic: bool,
) -> None:
    started = buy(alice, starter).json()
    path = f"purchase/{started['purchaseId']}"
    now = datetime.now(UTC)
    review = {"quarantined_at": now, "quarantine_reason": "x"} if under_review else {}
    saved = {"stripe_payment_method_id": "pm_1"} if automatic else {}
    Purchase.objects.update(status=status, **review, **saved)

    offered = alice.get(path).json()
    answer = alice.post(f"{path}/cancel", {})

    possible = status in {"pending", "failed"} and not under_review and not automatic
    assert (offered["cancellable"], offered["automatic"]) == (possible, automatic)
    # A cancelled purchase stays as it is.
    assert answer.status_code == (200 if possible or status == "cancelled" else 409)


@pytest.mark.breaks_the_books  # no refund or dispute explains the status
@pytest.mark.parametrize("state", ["completed", "partially_refunded", "refunded", "disputed"])
def test_a_paid_purchase_offers_no_cancelling(
    alice: Caller, starter: Package, stripe: Stripe, state: str
) -> None:
    started = buy(alice, starter).json()
    stripe.pay(started["purchaseId"])
    for event in stripe.events():
        deliver(event)
    Purchase.objects.update(status=state)

    assert alice.get(f"purchase/{started['purchaseId']}").json()["cancellable"] is False
    assert alice.post(f"purchase/{started['purchaseId']}/cancel", {}).status_code == 409


@pytest.mark.parametrize("pages", [{}, PAGES])
def test_a_purchase_that_ended_unreported_at_stripe_is_cancelled(
    alice: Caller, starter: Package, stripe: Stripe, pages: dict[str, str]
) -> None:
    started = buy(alice, starter, **pages).json()
    purchase = Purchase.objects.get()
    if pages:
        stripe.post(f"v1/checkout/sessions/{purchase.stripe_checkout_session_id}/expire")
    else:
        stripe.post(f"v1/payment_intents/{purchase.stripe_payment_intent_id}/cancel")

    answer = alice.post(f"purchase/{started['purchaseId']}/cancel", {})

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_another_users_purchase_is_unknown(
    alice: Caller, bob: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()

    answer = bob.post(f"purchase/{started['purchaseId']}/cancel", {})

    assert (answer.status_code, answer.json()["code"]) == (404, "purchase_not_found")
    assert Purchase.objects.get().status == "pending"


def test_while_stripe_is_away_nothing_is_cancelled(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()

    with patch("credits.payments.stripe_api.cancel_intent", side_effect=PaymentUnavailable):
        answer = alice.post(f"purchase/{started['purchaseId']}/cancel", {})

    assert answer.status_code == 503
    assert Purchase.objects.get().status == "pending"


def test_a_failed_purchase_says_why_until_it_is_paid(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()
    intent = stripe.get("payment_intents")["data"][0]
    error = {"code": "card_declined", "decline_code": "insufficient_funds"}
    event = {
        "object": "event",
        "id": "evt_declined",
        "type": "payment_intent.payment_failed",
        "created": intent["created"] + 1,
        "livemode": False,
        "data": {
            "object": {**intent, "status": "requires_payment_method", "last_payment_error": error}
        },
    }

    deliver(event)
    failed = alice.get(f"purchase/{started['purchaseId']}").json()
    stripe.pay(started["purchaseId"])
    for one in stripe.events():
        deliver(one)
    paid = alice.get(f"purchase/{started['purchaseId']}").json()

    assert (failed["status"], failed["failureCode"]) == ("failed", "insufficient_funds")
    assert (paid["status"], paid["failureCode"]) == ("completed", None)
    assert paid["packageName"] == "Starter"


def test_the_return_urls_name_the_purchase(alice: Caller, starter: Package, stripe: Stripe) -> None:
    pages = {name: f"{url}?purchase={{PURCHASE_ID}}" for name, url in PAGES.items()}

    started = buy(alice, starter, **pages).json()

    session = stripe.get(f"checkout/sessions/{started['checkoutUrl'].rpartition('/')[2]}")
    assert session["success_url"] == f"{PAGES['successUrl']}?purchase={started['purchaseId']}"
    assert session["cancel_url"] == f"{PAGES['cancelUrl']}?purchase={started['purchaseId']}"
