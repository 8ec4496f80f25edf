"""Claw-backs of refunds: parts, sums, and refunds requested by operators."""

import time
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from threading import Event
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits.ledger import ledger
from credits.ledger.outcomes import IdempotencyKeyReused
from credits.ledger.posting import Origin
from credits.models import IdempotencyKey, MoneyBack, Package, Purchase, Transaction
from credits.payments import checkout, money_back, purchases, refund_requests
from credits.payments.purchases import PurchaseUnknown
from credits.payments.refund_requests import ExceedsPurchase, NotRefundable
from credits.payments.stripe_errors import PaymentUnavailable, RefusedByStripe
from credits.payments.stripe_facts import MoneyBackReport, Payment
from tests.api import at_once
from tests.factories import package
from tests.quick import at_most
from tests.stripe import Stripe, deliver

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
OPERATOR = Origin("operator:olga")


def started(amount: Decimal = Decimal(500), cents: int = 499, days: int | None = None) -> Purchase:
    """Return a pending purchase, without a Stripe."""
    offer = package(credits=amount, price_euro_cents=cents, expires_after_days=days)
    intent = f"pi_{uuid4().hex}"
    answer = {"id": intent, "client_secret": "secret"}
    with (
        patch("credits.payments.stripe_api.create_customer", return_value=f"cus_{uuid4().hex}"),
        patch("credits.payments.stripe_api.create_intent", return_value=answer),
    ):
        return checkout.start(
            f"user-{uuid4()}", offer.pk, pages=None, origin=Origin("user"), now=NOW
        )


def payment(purchase: Purchase, **fields: Any) -> Payment:
    """Return the payment that matches a purchase, except for `fields`."""
    usual = Payment(
        purchase.stripe_payment_intent_id,
        None,
        purchase.pk,
        purchase.price_euro_cents,
        "eur",
        "succeeded",
    )
    return usual._replace(**fields)


def paid(amount: Decimal = Decimal(500), cents: int = 499, days: int | None = None) -> Purchase:
    """Return a completed purchase, without a Stripe."""
    purchase = started(amount, cents, days)
    purchases.complete(payment(purchase), at=NOW, now=NOW)
    purchase.refresh_from_db()
    return purchase


def went_back(purchase: Purchase, cents: int, **fields: Any) -> MoneyBackReport:
    usual = {
        "stripe_id": f"re_{uuid4().hex}",
        "kind": "refund",
        "intent_id": purchase.stripe_payment_intent_id,
        "amount_cents": cents,
        "state": "gone",
        "status": "succeeded",
    }
    return MoneyBackReport(**{**usual, **fields})


def balance(purchase: Purchase) -> Decimal:
    return ledger.balance_of(purchase.user_id).posted


@settings(
    max_examples=at_most(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    amount=st.decimals("0.0001", "99999", places=4),
    parts=st.lists(st.integers(1, 700), min_size=1, max_size=6),
)
def test_parts_are_proportional_and_sum_up_to_the_whole(amount: Decimal, parts: list[int]) -> None:
    cents = sum(parts)
    purchase = paid(amount, cents)
    gone = 0

    for part in parts:
        gone += part
        money_back.record(went_back(purchase, part), now=NOW)
        left = balance(purchase)
        exact = amount * (cents - gone) / cents
        assert 0 <= left - exact < Decimal("0.0001")

    assert balance(purchase) == 0


@settings(
    max_examples=at_most(80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    amount=st.decimals("0.0001", "1000", places=4),
    cents=st.integers(3, 999),
    data=st.data(),
)
@pytest.mark.slow
def test_the_balance_follows_the_money_in_every_order(
    amount: Decimal, cents: int, data: st.DataObject
) -> None:
    purchase = paid(amount, cents)
    facts = [
        went_back(
            purchase,
            data.draw(st.integers(1, cents)),
            kind=data.draw(st.sampled_from(["refund", "dispute"])),
        )
        for _ in range(data.draw(st.integers(1, 5)))
    ]
    ends = [fact._replace(state="returned") for fact in facts if data.draw(st.booleans())]
    gone: dict[str, int] = {}

    for fact in data.draw(st.permutations(facts + ends)):
        money_back.record(fact, now=NOW)

        if fact.state == "returned":
            gone[fact.stripe_id] = 0
        gone.setdefault(fact.stripe_id, fact.amount_cents)
        taken = Decimal(min(cents, sum(gone.values()))) * amount / cents
        assert balance(purchase) == amount - taken.quantize(Decimal("0.0001"), ROUND_DOWN)


def test_what_rounding_took_too_much_goes_back_when_another_refund_fails() -> None:
    purchase = paid(Decimal(1), 3)
    thirds = [went_back(purchase, 1, stripe_id=f"re_{name}") for name in "abc"]
    for third in thirds:
        money_back.record(third, now=NOW)

    money_back.record(thirds[0]._replace(state="returned"), now=NOW)

    moved = Transaction.objects.filter(user_id=purchase.user_id).order_by("number")
    assert [(entry.cause or "", entry.amount) for entry in moved][1:] == [
        ("refund:re_a", Decimal("-0.3333")),
        ("refund:re_b", Decimal("-0.3333")),
        ("refund:re_c", Decimal("-0.3334")),
        (f"reinstatement:{moved[1].pk}", Decimal("0.3333")),
        (f"reinstatement:{moved[3].pk}", Decimal("0.3334")),
        ("refund:re_c:2", Decimal("-0.3333")),
    ]


def test_what_a_won_dispute_frees_is_taken_by_the_refund_that_stands() -> None:
    purchase = paid(Decimal(1000), 500)
    dispute = went_back(purchase, 300, kind="dispute", stripe_id="dp_1")
    money_back.record(dispute, now=NOW)
    money_back.record(went_back(purchase, 500, stripe_id="re_1"), now=NOW)

    money_back.record(dispute._replace(state="returned"), now=NOW)

    moved = Transaction.objects.filter(user_id=purchase.user_id).order_by("number")
    assert [(entry.cause or "", int(entry.amount)) for entry in moved][1:] == [
        ("dispute:dp_1", -600),
        ("refund:re_1", -400),
        (f"reinstatement:{moved[1].pk}", 600),
        ("refund:re_1:2", -600),
    ]


def test_a_refund_that_names_another_payments_row_does_not_take_it_over() -> None:
    asked_of, other = paid(), paid()
    with (
        patch("credits.payments.stripe_api.create_refund", side_effect=PaymentUnavailable),
        pytest.raises(PaymentUnavailable),
    ):
        refund(asked_of, 100)
    asked = MoneyBack.objects.get()

    money_back.record(went_back(other, 499, return_id=asked.pk), now=NOW)

    asked.refresh_from_db()
    assert (asked.state, asked.stripe_id) == ("requested", None)
    assert (balance(asked_of), balance(other)) == (500, 0)


@pytest.fixture
def bought(stripe: Stripe, starter: Package) -> Purchase:
    """Return a purchase that was paid at the sandbox's Stripe."""
    purchase = checkout.start("alice", starter.pk, pages=None, origin=Origin("user"), now=NOW)
    stripe.pay(str(purchase.pk))
    for event in stripe.events():
        deliver(event)
    return purchase


def refund(purchase: Purchase, cents: int | None = None, origin: Origin = OPERATOR) -> MoneyBack:
    return refund_requests.refund(
        purchase.pk, cents=cents, reason="by mistake", origin=origin, now=NOW
    )


def test_an_operator_refunds_a_part_and_then_the_rest(bought: Purchase, stripe: Stripe) -> None:
    part = refund(bought, 100)
    after_part = balance(bought)
    rest = refund(bought)
    for event in stripe.events():
        deliver(event)

    assert after_part == Decimal("399.7996")
    assert (part.actor, part.reason, part.amount_cents) == ("operator:olga", "by mistake", 100)
    assert rest.amount_cents == 399
    at_stripe = stripe.get("refunds")["data"]
    assert sorted(one["amount"] for one in at_stripe) == [100, 399]
    assert {one["metadata"]["returnId"] for one in at_stripe} == {str(part.pk), str(rest.pk)}
    bought.refresh_from_db()
    assert (bought.status, balance(bought)) == ("refunded", 0)
    assert MoneyBack.objects.count() == 2


def test_no_more_is_refunded_than_was_paid(bought: Purchase, stripe: Stripe) -> None:
    refund(bought, 400)

    for cents in (100, 0, -1):
        with pytest.raises(ExceedsPurchase) as refusal:
            refund(bought, cents)
        assert refusal.value.details == {"refundable": 99}

    assert len(stripe.get("refunds")["data"]) == 1


def test_what_was_not_paid_is_not_refunded(stripe: Stripe, starter: Package) -> None:
    unpaid = checkout.start("alice", starter.pk, pages=None, origin=Origin("user"), now=NOW)
    at_checkout = checkout.start(
        "alice",
        starter.pk,
        pages=checkout.ReturnPages("http://localhost:5173/", "http://localhost:5173/"),
        origin=Origin("user"),
        now=NOW,
    )

    for purchase in (unpaid, at_checkout):
        with pytest.raises(NotRefundable):
            refund(purchase)
    with pytest.raises(PurchaseUnknown):
        refund_requests.refund(UUID(int=0), cents=None, reason="", origin=OPERATOR, now=NOW)


def test_the_same_key_refunds_once(bought: Purchase, stripe: Stripe) -> None:
    keyed = OPERATOR._replace(key="r1")

    first, again = refund(bought, 100, keyed), refund(bought, 100, keyed)

    assert first == again
    assert len(stripe.get("refunds")["data"]) == 1
    with pytest.raises(IdempotencyKeyReused):
        refund(bought, 200, keyed)


def test_a_refund_that_stripe_did_not_hear_of_is_sent_again(
    bought: Purchase, stripe: Stripe, settings: Any
) -> None:
    keyed = OPERATOR._replace(key="r1")
    with (
        patch("credits.payments.stripe_api.create_refund", side_effect=PaymentUnavailable),
        pytest.raises(PaymentUnavailable),
    ):
        refund(bought, 100, keyed)
    before = balance(bought)

    again = refund(bought, 100, keyed)

    assert before == 500
    assert (again.state, balance(bought)) == ("gone", Decimal("399.7996"))
    assert len(stripe.get("refunds")["data"]) == 1


@pytest.mark.parametrize("age", [timedelta(hours=30), timedelta(days=-2)])
def test_an_old_request_whose_answer_was_lost_is_not_sent_again(
    bought: Purchase, stripe: Stripe, age: timedelta
) -> None:
    """Stripe has forgotten the idempotency key, or a wrong clock hides how old it is."""
    keyed = OPERATOR._replace(key="r1")

    def lose_the_answer(asked: MoneyBack) -> None:
        stripe.refund(
            asked.stripe_payment_intent_id,
            amount=asked.amount_cents,
            **{"metadata[returnId]": str(asked.pk)},
        )
        raise PaymentUnavailable

    stripe.refund(bought.stripe_payment_intent_id or "", amount=50)
    with (
        patch("credits.payments.stripe_api.create_refund", side_effect=lose_the_answer),
        pytest.raises(PaymentUnavailable),
    ):
        refund(bought, 100, keyed)
    MoneyBack.objects.update(created_at=NOW - age)

    again = refund(bought, 100, keyed)

    assert (again.state, balance(bought)) == ("gone", Decimal("399.7996"))
    assert len(stripe.get("refunds")["data"]) == 2


def test_reconciliation_sends_a_refund_that_was_forgotten(
    bought: Purchase, stripe: Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        patch("credits.payments.stripe_api.create_refund", side_effect=PaymentUnavailable),
        pytest.raises(PaymentUnavailable),
    ):
        refund(bought, 100)
    MoneyBack.objects.update(created_at=NOW.replace(year=2025))

    call_command("reconcile_stripe", "--since", "1d", "--dry-run")
    before = balance(bought)
    call_command("reconcile_stripe", "--since", "1d")

    assert (before, balance(bought)) == (500, Decimal("399.7996"))
    assert "sent" in capsys.readouterr().out


def test_what_stripe_refuses_leaves_nothing_behind(bought: Purchase, stripe: Stripe) -> None:
    stripe.refund(bought.stripe_payment_intent_id or "")

    for _ in range(2):
        with pytest.raises(RefusedByStripe, match="greater than unrefunded"):
            refund(bought, origin=OPERATOR._replace(key="r1"))

    assert not MoneyBack.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert balance(bought) == 500


def test_a_forgotten_refund_that_stripe_refuses_is_reported(
    bought: Purchase, stripe: Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        patch("credits.payments.stripe_api.create_refund", side_effect=PaymentUnavailable),
        pytest.raises(PaymentUnavailable),
    ):
        refund(bought)
    MoneyBack.objects.update(created_at=NOW.replace(year=2025))
    stripe.refund(bought.stripe_payment_intent_id or "")

    with pytest.raises(SystemExit):
        call_command("reconcile_stripe", "--since", "1d")

    assert "greater than unrefunded" in capsys.readouterr().out
    assert [one.stripe_id for one in MoneyBack.objects.all()] != [None]
    assert balance(bought) == 0


def test_one_request_is_sent_once_however_often_it_is_tried_at_once(
    committed: None, bought: Purchase, stripe: Stripe
) -> None:
    keyed = OPERATOR._replace(key="r1")

    answers = at_once(8, lambda _: refund(bought, 100, keyed).pk)

    assert len(set(answers)) == 1
    assert len(stripe.get("refunds")["data"]) == 1
    assert balance(bought) == Decimal("399.7996")


def test_a_refund_told_of_while_its_checkout_completes_is_not_missed(
    committed: None, stripe: Stripe, starter: Package
) -> None:
    pages = checkout.ReturnPages("http://localhost:5173/", "http://localhost:5173/")
    purchase = checkout.start("alice", starter.pk, pages=pages, origin=Origin("user"), now=NOW)
    payment = Payment("pi_1", None, purchase.pk, 499, "eur", "succeeded")
    told = Event()

    def refund_comes_first(_: int) -> None:
        with transaction.atomic():
            money_back.record(went_back(purchase, 499, intent_id="pi_1"), now=NOW)
            told.set()
            time.sleep(0.3)  # its transaction is still open when the payment is reported

    def payment_comes_second(_: int) -> None:
        told.wait()
        purchases.complete(payment, at=NOW, now=NOW)

    at_once(2, lambda index: (refund_comes_first, payment_comes_second)[index](index))

    purchase.refresh_from_db()
    assert (purchase.status, balance(purchase)) == ("refunded", 0)


def test_8_operators_at_once_refund_no_more_than_was_paid(
    committed: None, bought: Purchase, stripe: Stripe
) -> None:
    def one(_: int) -> bool:
        try:
            refund(bought, 200)
        except ExceedsPurchase:
            return False
        return True

    done = at_once(8, one)

    assert done.count(True) == 2
    assert sorted(one["amount"] for one in stripe.get("refunds")["data"]) == [200, 200]
