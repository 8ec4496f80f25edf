"""The effect of each Stripe event on a purchase."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command

from credits.models import Balance, MoneyBack, Package, Purchase, Transaction
from tests.api import Caller, at_once, statuses
from tests.factories import spend
from tests.stripe import Object, Stripe, deliver, state
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

PAGES = {"successUrl": "http://localhost:5173/ok", "cancelUrl": "http://localhost:5173/no"}
Bought = Callable[..., Purchase]


@pytest.fixture
def bought(alice: Caller, starter: Package, stripe: Stripe) -> Bought:
    """Start a purchase of alice, at Checkout if `checkout` is set."""

    def start(*, checkout: bool = False) -> Purchase:
        body = {"packageId": str(starter.pk), **(PAGES if checkout else {})}
        return Purchase.objects.get(pk=alice.post("purchase", body).json()["purchaseId"])

    return start


class Sender:
    """Creates events of types that the sandbox does not send."""

    def __init__(self) -> None:
        self.sent = 0

    def __call__(self, kind: str, subject: Object, *, after: int = 0) -> Any:
        self.sent += 1
        event = {
            "id": f"evt_{self.sent}",
            "object": "event",
            "type": kind,
            "created": 1764000000 + after,
            "data": {"object": subject},
        }
        return deliver(event)


@pytest.fixture
def send() -> Sender:
    return Sender()


def intent(purchase: Purchase, **fields: Any) -> Object:
    return {
        "id": purchase.stripe_payment_intent_id,
        "amount": 499,
        "amount_received": 499,
        "currency": "eur",
        "status": "succeeded",
        "metadata": {"purchaseId": str(purchase.pk)},
        **fields,
    }


def session(purchase: Purchase, **fields: Any) -> Object:
    return {
        "id": purchase.stripe_checkout_session_id,
        "payment_intent": "pi_of_checkout",
        "amount_total": 499,
        "currency": "eur",
        "payment_status": "paid",
        "metadata": {"purchaseId": str(purchase.pk)},
        **fields,
    }


def refund(purchase: Purchase, **fields: Any) -> Object:
    return {
        "id": "re_1",
        "payment_intent": purchase.stripe_payment_intent_id,
        "amount": 499,
        "status": "succeeded",
        "metadata": {},
        **fields,
    }


def dispute(purchase: Purchase, **fields: Any) -> Object:
    return {
        "id": "dp_1",
        "payment_intent": purchase.stripe_payment_intent_id,
        "amount": 499,
        "status": "needs_response",
        "balance_transactions": [],
        **fields,
    }


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("payment_intent.processing", "processing"),
        ("payment_intent.payment_failed", "failed"),
        ("payment_intent.canceled", "cancelled"),
        ("payment_intent.succeeded", "completed"),
    ],
)
def test_events_of_payment_intents(bought: Bought, send: Sender, kind: str, status: str) -> None:
    purchase = bought()

    answer = send(kind, intent(purchase))

    assert answer.status_code == 200
    assert state(purchase) == (status, 500 if status == "completed" else 0)


@pytest.mark.parametrize(
    ("kind", "payment_status", "status"),
    [
        ("completed", "paid", "completed"),
        ("completed", "unpaid", "processing"),
        ("async_payment_succeeded", "paid", "completed"),
        ("async_payment_failed", "unpaid", "failed"),
        ("expired", "unpaid", "cancelled"),
    ],
)
def test_events_of_checkout(
    bought: Bought, send: Sender, kind: str, payment_status: str, status: str
) -> None:
    purchase = bought(checkout=True)

    answer = send(f"checkout.session.{kind}", session(purchase, payment_status=payment_status))

    assert answer.status_code == 200
    assert state(purchase) == (status, 500 if status == "completed" else 0)


def test_succeeded_failed_succeeded_stays_completed_and_credits_once(
    bought: Bought, send: Sender
) -> None:
    purchase = bought()

    send("payment_intent.succeeded", intent(purchase))
    send("payment_intent.payment_failed", intent(purchase), after=1)
    send("payment_intent.canceled", intent(purchase), after=2)
    send("payment_intent.succeeded", intent(purchase), after=3)

    assert state(purchase) == ("completed", 500)


def test_a_failed_attempt_may_be_followed_by_one_under_way(bought: Bought, send: Sender) -> None:
    purchase = bought()

    send("payment_intent.payment_failed", intent(purchase))
    send("payment_intent.processing", intent(purchase), after=1)

    assert state(purchase) == ("processing", 0)


def test_an_older_report_changes_nothing(bought: Bought, send: Sender) -> None:
    purchase = bought()

    send("payment_intent.payment_failed", intent(purchase), after=5)
    send("payment_intent.processing", intent(purchase), after=4)

    assert state(purchase) == ("failed", 0)


def test_money_that_came_after_all_is_credited(bought: Bought, send: Sender) -> None:
    purchase = bought()

    send("payment_intent.canceled", intent(purchase))
    send("payment_intent.processing", intent(purchase), after=1)
    send("payment_intent.succeeded", intent(purchase), after=2)

    assert state(purchase) == ("completed", 500)


@pytest.mark.parametrize(
    "fields", [{"amount_received": 498}, {"amount_received": 500}, {"currency": "usd"}]
)
def test_a_payment_of_another_amount_is_quarantined_and_not_credited(
    bought: Bought, send: Sender, fields: Object
) -> None:
    purchase = bought()

    answer = send("payment_intent.succeeded", intent(purchase, **fields))

    assert answer.status_code == 200
    assert state(purchase) == ("pending", 0)
    assert purchase.quarantined_at is not None
    assert "the price is €4.99." in (purchase.quarantine_reason or "")
    with pytest.raises(SystemExit):
        call_command("reconcile_stripe", "--since", "1d")


def test_a_second_payment_of_one_purchase_is_quarantined(bought: Bought, send: Sender) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))

    send("payment_intent.succeeded", intent(purchase, id="pi_other"))

    assert state(purchase) == ("completed", 500)
    assert "pi_other" in (purchase.quarantine_reason or "")


def test_every_reason_of_a_quarantine_is_kept_once(bought: Bought, send: Sender) -> None:
    purchase = bought()

    send("payment_intent.succeeded", intent(purchase, amount_received=1))
    send("payment_intent.succeeded", intent(purchase, amount_received=2))
    send("payment_intent.succeeded", intent(purchase, amount_received=1))

    assert state(purchase) == ("pending", 0)
    of = f"of {purchase.stripe_payment_intent_id}, the price is €4.99."
    assert purchase.quarantine_reason == f"Stripe reports €0.01 {of}\nStripe reports €0.02 {of}"


def test_a_checkout_that_cost_nothing_is_quarantined(bought: Bought, send: Sender) -> None:
    purchase = bought(checkout=True)
    free = {"payment_intent": None, "amount_total": 0, "payment_status": "no_payment_required"}

    send("checkout.session.completed", session(purchase, **free))

    assert state(purchase) == ("pending", 0)
    assert purchase.quarantined_at is not None


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("payment_intent.succeeded", {"metadata": {"purchaseId": "nonsense"}}),
        ("payment_intent.succeeded", {"metadata": None}),
        ("payment_intent.payment_failed", {"metadata": {}}),
        ("refund.created", {"payment_intent": "pi_foreign", "status": "succeeded"}),
        ("refund.created", {"payment_intent": None, "status": "succeeded"}),
        ("charge.refunded", {"payment_intent": "pi_foreign", "amount_refunded": 5}),
        ("charge.refunded", {"payment_intent": None, "amount_refunded": 5}),
    ],
)
def test_what_is_none_of_ours_is_stored_and_changes_nothing(
    bought: Bought, send: Sender, kind: str, subject: Object
) -> None:
    purchase = bought()
    foreign = intent(purchase, id="pi_foreign", **{"metadata": {}, **subject})

    answer = send(kind, foreign)

    assert answer.status_code == 200
    assert StripeEvent.objects.get().outcome == "unknown"
    assert state(purchase) == ("pending", 0)


def test_other_types_are_stored_and_ignored(bought: Bought, send: Sender) -> None:
    purchase = bought()

    answer = send("payment_intent.created", intent(purchase))

    assert answer.status_code == 200
    assert StripeEvent.objects.get().outcome == "ignored"


def test_a_refund_takes_its_part_of_the_credits(bought: Bought, send: Sender) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))

    send("refund.created", refund(purchase, amount=100))
    part = state(purchase)
    send("refund.created", refund(purchase, id="re_2", amount=399, status="pending"))
    send("refund.updated", refund(purchase, id="re_2", amount=399))

    assert part == ("partially_refunded", 399.7996)
    assert state(purchase) == ("refunded", 0)
    taken = Transaction.objects.filter(type="clawback").order_by("number")
    assert list(taken.values_list("cause", flat=True)) == ["refund:re_1", "refund:re_2"]


def test_a_refund_may_leave_a_debt(bought: Bought, send: Sender) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))
    spend("alice", 300)

    send("refund.created", refund(purchase))

    assert state(purchase) == ("refunded", -300)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_fails_gives_exactly_its_credits_back(
    bought: Bought, send: Sender, status: str
) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))
    send("refund.created", refund(purchase, amount=100))

    send("refund.failed", refund(purchase, amount=100, status=status))
    send("refund.updated", refund(purchase, amount=100))

    assert state(purchase) == ("completed", 500)


def test_a_dispute_takes_the_credits_when_its_funds_are_withdrawn(
    bought: Bought, send: Sender
) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))

    send("charge.dispute.created", dispute(purchase))
    opened = state(purchase)
    send("charge.dispute.funds_withdrawn", dispute(purchase))

    assert opened == ("disputed", 500)
    assert state(purchase) == ("disputed", 0)


@pytest.mark.parametrize(
    ("outcome", "end"),
    [("lost", ("disputed", 0)), ("won", ("completed", 500))],
)
def test_a_dispute_ends(bought: Bought, send: Sender, outcome: str, end: tuple[str, float]) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))
    send("charge.dispute.funds_withdrawn", dispute(purchase))

    if outcome == "won":
        send("charge.dispute.funds_reinstated", dispute(purchase, status="won"))
    send("charge.dispute.closed", dispute(purchase, status=outcome))

    assert state(purchase) == end


def test_an_inquiry_that_is_closed_leaves_no_trace(bought: Bought, send: Sender) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))

    send("charge.dispute.created", dispute(purchase, status="warning_needs_response"))
    send("charge.dispute.closed", dispute(purchase, status="warning_closed"))

    assert state(purchase) == ("completed", 500)


@pytest.mark.parametrize("refund_first", [True, False])
def test_refund_and_dispute_of_the_same_money_take_once(
    bought: Bought, send: Sender, refund_first: bool
) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))
    news = [
        ("refund.created", refund(purchase)),
        ("charge.dispute.funds_withdrawn", dispute(purchase)),
    ]

    for kind, subject in news if refund_first else reversed(news):
        send(kind, subject)
    both = state(purchase)
    send("charge.dispute.funds_reinstated", dispute(purchase, status="won"))

    assert both == ("disputed", 0)
    assert state(purchase) == ("refunded", 0)


def test_a_charge_whose_refund_is_missing_is_told_of(bought: Bought, send: Sender) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))
    charge = {"payment_intent": purchase.stripe_payment_intent_id, "amount_refunded": 100}

    with patch("credits.payments.money_back.logger") as logger:
        answer = send("charge.refunded", charge)

    assert answer.status_code == 200
    logger.warning.assert_called_once_with(
        "refund_missing", purchase=str(purchase.pk), known=0, reported=100
    )
    assert state(purchase) == ("completed", 500)


def test_an_event_that_cannot_be_applied_stays_and_is_applied_when_it_comes_again(
    bought: Bought, stripe: Stripe
) -> None:
    purchase = bought()
    stripe.pay(str(purchase.pk))
    (event,) = stripe.events()
    with patch("credits.payments.money_back.settle", side_effect=RuntimeError("a defect")):
        broken = deliver(event)
        half = state(purchase)
    kept = StripeEvent.objects.get()

    again = deliver(event)

    assert broken.status_code == 500
    assert half == ("pending", 0)
    assert (kept.processed_at, kept.attempts) == (None, 1)
    assert "RuntimeError: a defect" in (kept.error or "")
    assert again.status_code == 200
    assert state(purchase) == ("completed", 500)


def test_the_worker_applies_what_could_not_be_applied(
    bought: Bought, stripe: Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    purchase = bought()
    stripe.pay(str(purchase.pk))
    (event,) = stripe.events()
    with patch("credits.payments.money_back.settle", side_effect=RuntimeError("a defect")):
        deliver(event)
        with pytest.raises(SystemExit):
            call_command("process_stripe_events")

    call_command("process_stripe_events")

    assert state(purchase) == ("completed", 500)
    assert "process_stripe_events: 1 processed." in capsys.readouterr().out


def test_20_concurrent_deliveries_credit_each_of_10_purchases_once(
    committed: None, bought: Bought, stripe: Stripe
) -> None:
    purchases = [bought() for _ in range(10)]
    for purchase in purchases:
        stripe.pay(str(purchase.pk))
    events = stripe.events()

    answers = [at_once(20, lambda _, event=event: deliver(event)) for event in events]  # type: ignore[misc]

    assert [statuses(one) for one in answers] == [{200: 20}] * 10
    assert Transaction.objects.count() == 10
    assert [state(purchase)[0] for purchase in purchases] == ["completed"] * 10
    assert Balance.objects.get(pk="alice").posted == 5000


def test_returns_of_others_payments_take_nothing(bought: Bought, send: Sender) -> None:
    purchase = bought()
    send("payment_intent.succeeded", intent(purchase))

    send("charge.dispute.funds_withdrawn", dispute(purchase, payment_intent="pi_foreign"))

    assert state(purchase) == ("completed", 500)
    assert MoneyBack.objects.get().taken == 0
