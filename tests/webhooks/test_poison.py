"""Signed bodies that cannot be read are stored once with the reason."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command

from credits.ledger import ledger
from credits.models import MoneyBack, Package, Purchase
from tests.api import Caller
from tests.stripe import Object, Stripe, buy, deliver
from webhooks import events
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

DEEP = b'{"id":"evt_1","type":"x","created":1764000000,"data":' + b"[" * 500 + b"]" * 500 + b"}"
DEEPER = b'{"id":"evt_1","type":"x","created":1764000000,"data":' + b"[" * 100_000


def event(subject: Any, kind: str = "refund.created", **fields: Any) -> bytes:
    whole = {"id": "evt_1", "type": kind, "created": 1764000000, "data": {"object": subject}}
    return json.dumps({**whole, **fields}).encode()


REFUND: Object = {"id": "re_1", "payment_intent": "pi_1", "amount": 5, "status": "succeeded"}
INTENT: Object = {"id": "pi_1", "amount": 5, "currency": "eur", "status": "succeeded"}


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="not JSON"),
        pytest.param(b"\xff\xfe{}", id="not UTF-8"),
        pytest.param(b'{"id":"evt_1\x00"}', id="a NUL"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(DEEP, id="deep"),
        pytest.param(DEEPER, id="very deep"),
        pytest.param(b'{"id":"evt_1","type":"x"}', id="no time"),
        pytest.param(event(REFUND, id=1), id="an id that is a number"),
        pytest.param(event(REFUND, id=""), id="an empty id"),
        pytest.param(event(REFUND, id="evt\0"), id="an id with a NUL"),
        pytest.param(event(REFUND, id="evt\ud800"), id="an id with a lone surrogate"),
        pytest.param(event(REFUND, id="e" * 256), id="a long id"),
        pytest.param(event(REFUND, type=None), id="no type"),
        pytest.param(event(REFUND, created="now"), id="an invalid time"),
        pytest.param(event(REFUND, created=1e99), id="a time without measure"),
        pytest.param(event(REFUND, created=True), id="a time that is true"),
        pytest.param(event(REFUND, data=None), id="no data"),
        pytest.param(event(REFUND, data=[]), id="data that is a list"),
        pytest.param(event(None), id="no object"),
        pytest.param(event("re_1"), id="an object that is a text"),
        pytest.param(event({}), id="an empty object"),
        pytest.param(event({**REFUND, "amount": -5}), id="a negative amount"),
        pytest.param(event({**REFUND, "amount": 0}), id="nothing"),
        pytest.param(event({**REFUND, "amount": "5"}), id="an amount that is a text"),
        pytest.param(event({**REFUND, "amount": 5.5}), id="half a cent"),
        pytest.param(event({**REFUND, "amount": True}), id="an amount that is true"),
        pytest.param(event({**REFUND, "amount": 10**30}), id="too much"),
        pytest.param(event({**REFUND, "id": "re\ud800"}), id="a lone surrogate"),
        pytest.param(event({**REFUND, "id": "re\0"}), id="a NUL in the object"),
        pytest.param(event({**REFUND, "id": "r" * 256}), id="a long id of the object"),
        pytest.param(event({**REFUND, "payment_intent": 5}), id="a reference that is a number"),
        pytest.param(event({**REFUND, "status": "s" * 65}), id="a long status"),
        pytest.param(event({**INTENT, "amount": None}, "payment_intent.succeeded"), id="no amount"),
        pytest.param(event({**INTENT, "currency": []}, "payment_intent.succeeded"), id="currency"),
        pytest.param(event({"id": "cs_1"}, "checkout.session.completed"), id="a session"),
        pytest.param(
            event({**REFUND, "balance_transactions": [5]}, "charge.dispute.created"), id="movements"
        ),
        pytest.param(event({"payment_intent": "pi_1"}, "charge.refunded"), id="a charge"),
        pytest.param(
            event(None, "v1.refund.created", object="v2.core.event", related_object=5), id="thin"
        ),
    ],
)
def test_what_is_signed_and_cannot_be_read_is_stored_once_and_not_tried_again(
    payload: bytes, settings: Any
) -> None:
    before = _counted()

    answers = [deliver(payload), deliver(payload)]

    assert [answer.status_code for answer in answers] == [200, 200]
    stored = StripeEvent.objects.get()
    assert stored.outcome == "unreadable"
    assert stored.processed_at
    assert stored.error
    assert "Traceback" not in stored.error
    assert _counted() > before
    assert not MoneyBack.objects.exists()
    assert list(events.process_due(now=stored.received_at, limit=10)) == []


def _counted() -> float:
    # Not by way of the registry: to collect all metrics takes as long as the rest of the test.
    [metric] = events.EVENTS.collect()
    counts = [one for one in metric.samples if one.name.endswith("_total")]
    return sum(one.value for one in counts if one.labels["outcome"] == "unreadable")


def test_of_a_type_that_concerns_nobody_nothing_is_read() -> None:
    deliver(event(None, "customer.created"))

    assert StripeEvent.objects.get().outcome == "ignored"


def test_the_reason_names_the_field() -> None:
    deliver(event({**REFUND, "amount": -5}))

    assert (
        StripeEvent.objects.get().error == "amount is not a whole number from 1 to 10000000000000"
    )


def test_a_payment_of_a_foreign_currency_may_be_large() -> None:
    answer = deliver(event({**REFUND, "amount": 10**11}))

    assert answer.status_code == 200
    assert (StripeEvent.objects.get().outcome, MoneyBack.objects.get().amount_cents) == (
        "unknown",
        10**11,
    )


def test_an_event_that_was_repaired_is_read_again_when_it_comes_again(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    purchase = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    stripe.pay(str(purchase.pk))
    (paid,) = stripe.events()
    deliver(paid)
    good = event({**REFUND, "payment_intent": purchase.stripe_payment_intent_id, "amount": 499})
    deliver(event({**REFUND, "amount": None}))
    StripeEvent.objects.filter(pk="evt_1").update(payload=good.decode())

    assert events.attempt("evt_1", now=purchase.created_at) is None

    assert StripeEvent.objects.get(pk="evt_1").outcome == "applied"
    assert ledger.balance_of("alice").posted == 0


def test_what_cannot_be_read_does_not_stop_the_reconciliation(
    alice: Caller, starter: Package, stripe: Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    purchase = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    paid = stripe.pay(str(purchase.pk))["id"]
    poison = {"object": "payment_intent", "id": "pi_0", "amount": -1}
    good = stripe.get(f"payment_intents/{paid}")
    refund = {"object": "refund", "id": "re_0"}

    with (
        patch("credits.payments.stripe_api.intents", return_value=iter([poison, good])),
        patch("credits.payments.stripe_api.refunds", return_value=iter([refund])),
        pytest.raises(SystemExit),
    ):
        call_command("reconcile_stripe", "--since", "1d")

    assert ledger.balance_of("alice").posted == 500
    out = capsys.readouterr().out
    assert "Unexplained: payment pi_0: amount is not a whole number" in out
    assert "Unexplained: refund re_0: amount is not a whole number" in out
    assert "2 unexplained" in out
