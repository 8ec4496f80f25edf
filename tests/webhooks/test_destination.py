"""Events of another mode or account are stored, ignored, logged and counted."""

from typing import Any
from unittest.mock import patch

import pytest
from prometheus_client import REGISTRY

from credits.ledger import ledger
from credits.models import Package, Purchase
from tests.api import Caller
from tests.stripe import Object, Stripe, buy, deliver
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(alice: Caller, starter: Package, stripe: Stripe) -> Object:
    """Return the event of a paid test-mode purchase of 500 credits."""
    purchase_id = buy(alice, starter).json()["purchaseId"]
    stripe.pay(purchase_id)
    (event,) = stripe.events()
    return event


def counted(reason: str) -> float:
    name = "mana_credits_stripe_events_misdirected_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


def credited() -> bool:
    return Purchase.objects.get().status == "completed" and ledger.balance_of("alice").posted == 500


@pytest.mark.parametrize(
    ("key", "livemode", "fits"),
    [
        ("sk_live_1", True, True),
        ("rk_live_1", True, True),
        ("sk_test_1", False, True),
        ("sk_live_1", False, False),
        ("rk_live_1", False, False),
        ("sk_test_1", True, False),
        ("rk_test_1", True, False),
        ("sk_live_1", "yes", False),
        ("sk_live_1", "true", False),
        ("sk_live_1", 1, False),
        ("sk_live_1", [True], False),
        ("sk_live_1", None, True),
        ("sk_test_1", 0, False),
        ("sk_sandbox", True, True),
        ("sk_sandbox", False, True),
    ],
)
def test_the_mode_of_an_event_must_be_that_of_our_key(
    paid: Object, settings: Any, key: str, livemode: Any, fits: bool
) -> None:
    settings.STRIPE_SECRET_KEY = key
    before = counted("livemode")

    with patch("webhooks.destination.logger") as logger:
        answer = deliver({**paid, "livemode": livemode})

    stored = StripeEvent.objects.get()
    assert answer.status_code == 200
    assert credited() == fits
    assert stored.outcome == ("applied" if fits else "ignored")
    assert ("livemode" in (stored.error or "")) != fits
    assert logger.warning.called != fits
    assert counted("livemode") - before == (0 if fits else 1)


def test_an_event_without_a_mode_is_applied(paid: Object, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_live_1"
    del paid["livemode"]

    deliver(paid)

    assert credited()


@pytest.mark.parametrize(
    ("known", "named", "fits"),
    [
        ("", {}, True),
        ("acct_1", {}, True),
        ("acct_1", {"account": "acct_1"}, True),
        ("acct_1", {"context": "acct_1"}, True),
        ("acct_1", {"account": "acct_2"}, False),
        ("acct_1", {"context": "acct_2"}, False),
        ("", {"account": "acct_2"}, False),
        ("", {"account": ["acct_2"]}, False),
        ("acct_1", {"account": ["acct_1"]}, False),
        ("acct_1", {"account": "acct_1", "context": "acct_2"}, False),
        ("acct_1", {"account": None, "context": "acct_2"}, False),
        ("acct_1", {"account": "acct_1", "context": None}, True),
        ("acct_1", {"account": "acct_1\ud800"}, False),
        ("acct_1", {"account": ""}, False),
        ("", {"account": 0}, False),
        ("", {"account": False}, False),
        ("", {"account": []}, False),
        ("", {"account": {}}, False),
    ],
)
def test_the_account_of_an_event_must_be_ours(
    paid: Object, settings: Any, known: str, named: Object, fits: bool
) -> None:
    settings.STRIPE_ACCOUNT_ID = known
    before = counted("account")

    answer = deliver({**paid, **named})

    assert answer.status_code == 200
    assert credited() == fits
    assert StripeEvent.objects.get().outcome == ("applied" if fits else "ignored")
    assert counted("account") - before == (0 if fits else 1)


def test_a_thin_event_of_another_mode_is_not_fetched(paid: Object, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_live_1"
    subject = {"id": paid["data"]["object"]["id"], "type": "payment_intent"}
    thin = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.payment_intent.succeeded",
        "created": "2026-10-15T09:26:53Z",
        "livemode": False,
        "related_object": subject,
    }

    with patch("credits.payments.stripe_api.intent") as asked:
        answer = deliver(thin)

    assert answer.status_code == 200
    assert not asked.called
    assert not credited()
    assert StripeEvent.objects.get().outcome == "ignored"
