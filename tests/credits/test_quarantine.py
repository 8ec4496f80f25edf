"""Operators resolve quarantined purchases: credit them or leave them uncredited."""

from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.posting import Origin
from credits.models import Purchase, Transaction
from credits.payments import money_back, purchases, refund_requests
from credits.payments.purchases import (
    NotCreditable,
    NotQuarantined,
    PurchaseUnknown,
    QuarantineChanged,
)
from mana_credits.back_office.acts import purchase_refunds
from mana_credits.privacy import erasure
from tests.api import Caller, at_once
from tests.credits.test_money_back import NOW, balance, paid, payment, started, went_back
from tests.stripe import PAGES, Stripe

pytestmark = pytest.mark.django_db

OPERATOR = Origin("operator:olga")
LATER = NOW + timedelta(hours=1)


def complete(purchase: Purchase, **fields: object) -> None:
    """Report a successful payment of the purchase, as Stripe does."""
    purchases.complete(payment(purchase, **fields), at=NOW, now=NOW)
    purchase.refresh_from_db()


def resolve(purchase: Purchase, *, credit: bool, origin: Origin = OPERATOR) -> Purchase:
    return purchases.resolve_quarantine(
        purchase.pk, credit=credit, reason="seen the transfer", origin=origin, now=LATER
    )


@pytest.fixture
def purchase() -> Purchase:
    """Create a purchase of 500 credits for 4.99 EUR, for which 4 EUR were paid."""
    purchase = started()
    complete(purchase, amount_cents=400)
    return purchase


def test_credited_it_is_paid_and_no_longer_listed(purchase: Purchase) -> None:
    listed = list(purchases.quarantined())

    resolve(purchase, credit=True)

    purchase.refresh_from_db()
    entry = Transaction.objects.get()
    assert listed == [purchase]
    assert not purchases.quarantined().exists()
    assert (purchase.status, purchase.completed_at) == ("completed", LATER)
    assert (entry.type, entry.amount, entry.actor) == ("purchase", 500, "operator:olga")
    assert entry.cause == f"purchase:{purchase.pk}"
    assert purchase.quarantined_at == NOW
    assert (
        purchase.quarantine_resolution,
        purchase.quarantine_resolved_at,
        purchase.quarantine_resolved_by,
        purchase.quarantine_resolved_why,
    ) == ("credited", LATER, "operator:olga", "seen the transfer")


def test_its_money_can_be_refunded_and_takes_no_credits(purchase: Purchase) -> None:
    plan = purchase_refunds.plan_refund(purchase, 400)

    assert purchase_refunds.refundable(purchase) == 499
    assert plan == (ledger.balance_of(purchase.user_id), 400, 0, 0, 0)


def test_an_unpaid_purchase_cannot_be_refunded() -> None:
    waiting, at_checkout = started(), started()
    Purchase.objects.filter(pk=at_checkout.pk).update(stripe_payment_intent_id=None)
    at_checkout.refresh_from_db()

    assert purchase_refunds.refundable(waiting) == purchase_refunds.refundable(at_checkout) == 0


def test_left_it_is_cancelled_and_no_longer_listed(purchase: Purchase) -> None:
    resolve(purchase, credit=False)

    purchase.refresh_from_db()
    assert not purchases.quarantined().exists()
    assert (purchase.status, purchase.quarantine_resolution) == ("cancelled", "left")
    assert (purchase.transaction, balance(purchase)) == (None, 0)


@pytest.mark.parametrize("credit", [True, False])
def test_the_same_again_changes_nothing_and_the_other_way_is_refused(
    purchase: Purchase, credit: bool
) -> None:
    resolve(purchase, credit=credit)

    again = resolve(purchase, credit=credit, origin=Origin("operator:otto", key="k1"))
    with pytest.raises(QuarantineChanged):
        resolve(purchase, credit=not credit)

    assert again.quarantine_resolved_by == "operator:olga"
    assert balance(purchase) == (500 if credit else 0)


@pytest.mark.parametrize("credit", [True, False])
def test_the_same_event_again_does_not_open_it_anew(purchase: Purchase, credit: bool) -> None:
    resolve(purchase, credit=credit)

    complete(purchase, amount_cents=400)

    assert not purchases.quarantined().exists()
    assert balance(purchase) == (500 if credit else 0)


def test_another_payment_opens_it_anew_and_the_first_does_not_after_that(
    purchase: Purchase,
) -> None:
    resolve(purchase, credit=False)
    complete(purchase, intent_id="pi_other")
    reopened = purchase.quarantined_intent, purchase.quarantine_resolved_by
    resolve(purchase, credit=False)

    complete(purchase, amount_cents=400)
    complete(purchase, intent_id="pi_other")

    assert reopened == ("pi_other", None)
    assert not purchases.quarantined().exists()
    assert len((purchase.quarantine_reason or "").splitlines()) == 2


def test_credited_for_another_payment_it_is_of_that_one() -> None:
    purchase = started()
    complete(purchase, intent_id="pi_other")
    money_back.record(went_back(purchase, 499, intent_id="pi_other"), now=NOW)

    resolve(purchase, credit=True)

    purchase.refresh_from_db()
    assert purchase.stripe_payment_intent_id == "pi_other"
    assert (purchase.status, balance(purchase)) == ("refunded", 0)
    assert [entry.type for entry in Transaction.objects.order_by("number")] == [
        "purchase",
        "clawback",
    ]


def test_once_credited_for_another_payment_its_own_is_one_too_many() -> None:
    purchase = started()
    own = payment(purchase)
    complete(purchase, intent_id="pi_other")
    resolve(purchase, credit=True)

    purchases.complete(own, at=NOW, now=NOW)

    assert list(purchases.quarantined()) == [purchase]
    assert balance(purchase) == 500


def test_left_it_is_still_credited_when_it_is_paid_as_agreed(purchase: Purchase) -> None:
    resolve(purchase, credit=False)

    complete(purchase)

    assert (purchase.status, balance(purchase)) == ("completed", 500)
    assert purchase.quarantine_resolution == "left"


def test_a_second_payment_of_a_paid_purchase_can_only_be_left() -> None:
    purchase = paid()
    complete(purchase, intent_id="pi_other")

    with pytest.raises(NotCreditable):
        resolve(purchase, credit=True)
    resolve(purchase, credit=False)

    purchase.refresh_from_db()
    assert (purchase.status, balance(purchase)) == ("completed", 500)
    assert not purchases.quarantined().exists()


def test_what_cost_nothing_can_only_be_left() -> None:
    purchase = started()
    complete(purchase, intent_id=None, amount_cents=0)

    with pytest.raises(NotCreditable):
        resolve(purchase, credit=True)

    assert list(purchases.quarantined()) == [purchase]


@pytest.mark.parametrize("credit", [True, False])
def test_there_must_be_a_quarantine(credit: bool) -> None:
    with pytest.raises(NotQuarantined):
        resolve(paid(), credit=credit)
    with pytest.raises(PurchaseUnknown):
        resolve(Purchase(pk=uuid4()), credit=credit)


def test_a_payment_that_came_meanwhile_has_to_be_looked_at(purchase: Purchase) -> None:
    def other(_: str) -> None:
        Purchase.objects.update(quarantined_intent="pi_other")

    with (
        patch("credits.payments.money_back.lock_payment", side_effect=other),
        pytest.raises(QuarantineChanged),
    ):
        resolve(purchase, credit=True)

    assert balance(purchase) == 0


def test_8_operators_at_once_resolve_it_once(committed: None) -> None:
    purchase = started()
    complete(purchase, amount_cents=400)

    def act(index: int) -> str:
        try:
            return str(resolve(purchase, credit=index % 2 == 0).quarantine_resolution)
        except DomainError as refusal:
            return refusal.code

    outcomes = at_once(8, act)

    purchase.refresh_from_db()
    assert outcomes.count(str(purchase.quarantine_resolution)) == 4
    assert outcomes.count("quarantine_changed") == 4
    assert balance(purchase) == (500 if purchase.paid else 0)


def test_an_operator_and_stripe_at_once_credit_once(committed: None) -> None:
    for _ in range(4):
        purchase = started()
        complete(purchase, amount_cents=400)

        def act(index: int, purchase: Purchase = purchase) -> None:
            try:
                if index % 2:
                    purchases.complete(payment(purchase), at=NOW, now=NOW)
                else:
                    resolve(purchase, credit=True)
            except NotCreditable:
                pass

        at_once(8, act)

        assert balance(purchase) == 500


def test_a_checkout_paid_wrong_can_be_refunded_and_left(
    alice: Caller, starter: object, stripe: Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"packageId": str(starter.pk), **PAGES}  # type: ignore[attr-defined]
    purchase = Purchase.objects.get(pk=alice.post("purchase", body).json()["purchaseId"])
    Purchase.objects.update(price_euro_cents=999)
    intent = stripe.pay(str(purchase.pk))
    before = reconciled()
    refund_requests.refund(purchase.pk, cents=499, reason="paid wrong", origin=OPERATOR, now=NOW)

    resolve(purchase, credit=False)

    purchase.refresh_from_db()
    assert purchase.stripe_payment_intent_id == intent["id"]
    assert (before, reconciled()) == (1, 0)
    assert (purchase.status, balance(purchase)) == ("cancelled", 0)
    assert f"Unexplained: purchase {purchase.pk}: Stripe reports €4.99" in capsys.readouterr().out


def reconciled() -> int:
    """Run reconcile_stripe. Return its exit code."""
    try:
        call_command("reconcile_stripe", "--since", "1d")
    except SystemExit as end:
        return int(str(end.code))
    return 0


@pytest.mark.parametrize(
    ("constraint", "wrong"),
    [
        ("purchase_quarantine_resolution_is_whole", {"quarantine_resolved_at": None}),
        ("purchase_quarantine_resolution_is_whole", {"quarantine_resolution": None}),
        ("purchase_quarantine_resolution_is_whole", {"quarantine_resolved_by": None}),
        ("purchase_quarantine_resolution_is_whole", {"quarantine_resolved_why": None}),
        (
            "purchase_quarantine_resolution_is_whole",
            {"quarantined_at": None, "quarantine_reason": None},
        ),
        ("purchase_quarantine_resolution_known", {"quarantine_resolution": "credited"}),
        ("purchase_quarantine_resolution_known", {"quarantine_resolution": "forgotten"}),
        ("purchase_quarantine_resolver_known", {"quarantine_resolved_by": "somebody"}),
    ],
)
def test_a_resolution_that_breaks_a_rule_is_refused(
    purchase: Purchase, constraint: str, wrong: dict[str, None]
) -> None:
    resolve(purchase, credit=False)

    with pytest.raises(IntegrityError, match=f'constraint "{constraint}"'), transaction.atomic():
        Purchase.objects.update(**wrong)

    purchase.refresh_from_db()
    assert purchase.quarantine_resolution == "left"


def test_what_operators_wrote_is_erased_with_the_buyer(purchase: Purchase) -> None:
    user_id = purchase.user_id
    resolve(purchase, credit=True)
    with patch(
        "credits.payments.stripe_api.create_refund",
        side_effect=lambda asked: {
            "id": "re_1",
            "payment_intent": asked.stripe_payment_intent_id,
            "amount": 100,
            "status": "succeeded",
            "metadata": {"returnId": str(asked.pk)},
        },
    ):
        asked = refund_requests.refund(
            purchase.pk, cents=100, reason="for Jane", origin=OPERATOR, now=NOW
        )

    erasure.erase(user_id)

    purchase.refresh_from_db()
    asked.refresh_from_db()
    assert (purchase.quarantine_resolved_why, purchase.quarantine_resolved_by) == (
        "",
        "operator:olga",
    )
    assert (asked.reason, asked.actor, asked.taken > Decimal(100)) == ("", "operator:olga", True)


def test_a_payment_does_not_end_a_quarantine_with_another_reason(purchase: Purchase) -> None:
    complete(purchase, currency="usd")

    complete(purchase)

    assert (purchase.status, balance(purchase)) == ("completed", 500)
    assert purchase.quarantine_resolution is None
    assert list(purchases.quarantined()) == [purchase]
