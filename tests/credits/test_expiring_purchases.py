"""Purchased credits expire only if the package said so when it was bought."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from credits.ledger import credit_expiry, ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, CreditLot, MoneyBack, Package, Purchase, Transaction
from credits.payments import checkout, claw_back_shares, money_back, packages, purchases
from credits.payments.packages import InvalidPackage, Offer
from tests.api import Caller
from tests.books import discrepancies
from tests.credits.test_auto_top_up import agree, reason, work
from tests.credits.test_money_back import payment, went_back
from tests.factories import give, package, spend
from tests.owner import as_owner
from tests.stripe import Stripe

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
OFFER = Offer("Starter", Decimal(500), 499, sort_order=1)


def started(offer: Package, user_id: str = "alice") -> Purchase:
    answer = {"id": f"pi_{uuid4().hex}", "client_secret": "secret"}
    with (
        patch("credits.payments.stripe_api.create_customer", return_value=f"cus_{uuid4().hex}"),
        patch("credits.payments.stripe_api.create_intent", return_value=answer),
    ):
        return checkout.start(user_id, offer.pk, pages=None, origin=Origin("user"), now=NOW)


def reach_the_date(at: datetime) -> None:
    """Let credits valid for 30 days expire at `at`, as if they had been bought before."""
    with as_owner():
        CreditLot.objects.update(expires_at=at)
        Balance.objects.exclude(next_expiry=None).update(next_expiry=at)
        Purchase.objects.update(completed_at=at - timedelta(days=30))


def pay(purchase: Purchase, *, at: datetime = NOW) -> Purchase:
    purchases.complete(payment(purchase), at=at, now=at)
    purchase.refresh_from_db()
    return purchase


def test_the_days_count_from_the_payment() -> None:
    purchase = started(package(expires_after_days=30))

    pay(purchase, at=NOW + timedelta(days=2))

    lot = CreditLot.objects.get()
    assert lot.transaction_id == purchase.transaction_id
    assert (lot.amount, lot.expires_at) == (500, NOW + timedelta(days=32))


def test_credits_of_other_packages_never_expire() -> None:
    pay(started(package()))

    assert not CreditLot.objects.exists()
    assert Balance.objects.get().next_expiry is None


@pytest.mark.parametrize(("before", "after", "lots"), [(None, 30, 0), (30, None, 1)])
def test_what_the_package_says_later_does_not_matter(
    before: int | None, after: int | None, lots: int
) -> None:
    offer = package(expires_after_days=before)
    purchase = started(offer)
    changed = OFFER._replace(expires_after_days=after)
    packages.change(offer.pk, changed, actor="operator:o", now=NOW)

    pay(purchase)

    assert CreditLot.objects.count() == lots
    assert purchase.expires_after_days == before


def test_what_is_left_of_a_purchase_expires() -> None:
    purchase = pay(started(package(expires_after_days=30)))

    list(credit_expiry.expire_due(now=NOW + timedelta(days=31), limit=10))

    expiry = Transaction.objects.get(type="expiry")
    assert (expiry.amount, expiry.related_id) == (-500, purchase.transaction_id)
    assert purchase.status == "completed"


def test_a_claw_back_takes_from_the_lot_of_its_purchase_first() -> None:
    sooner = give("alice", 100, expires_at=NOW + timedelta(days=1)).transaction.pk
    purchase = pay(started(package(expires_after_days=30)))

    money_back.record(went_back(purchase, 499), now=NOW)

    left = dict(CreditLot.objects.values_list("transaction_id", "remaining"))
    assert left == {sooner: 100, purchase.transaction_id: 0}
    assert MoneyBack.objects.get().taken == 500


@pytest.mark.parametrize(("cents", "expiring"), [(499, 0), (0, 500)])
def test_what_comes_back_of_a_returned_purchase_never_expires(cents: int, expiring: int) -> None:
    purchase = pay(started(package(expires_after_days=30)))
    give("alice", 1000)
    used = spend("alice", 400)
    held = reservations.reserve("alice", Decimal(100), reason="chat", origin=Origin("service"))
    if cents:
        money_back.record(went_back(purchase, cents), now=NOW)
    before = Balance.objects.get().posted

    back = Memo(description="Failed")
    ledger.refund(
        "alice", Decimal(400), memo=back, origin=Origin("system"), usage_id=used.transaction.pk
    )
    reservations.release(held.reservation.pk, origin=Origin("system"))

    assert CreditLot.objects.get().remaining == expiring
    list(credit_expiry.expire_due(now=NOW + timedelta(days=31), limit=10))
    assert Balance.objects.get().posted == before + 400 - expiring


def test_what_comes_back_after_a_part_was_returned_expires_in_part() -> None:
    purchase = pay(started(package(credits=400, price_euro_cents=400, expires_after_days=30)))
    give("alice", 1000)
    used = spend("alice", 300)
    money_back.record(went_back(purchase, 200), now=NOW)

    back = Memo(description="Failed")
    ledger.refund(
        "alice", Decimal(300), memo=back, origin=Origin("system"), usage_id=used.transaction.pk
    )

    lot = CreditLot.objects.get()
    assert (lot.remaining, lot.repaid) == (200, 100)


def test_a_dispute_that_is_won_fills_the_lot_again() -> None:
    purchase = pay(started(package(expires_after_days=30)))
    dispute = {"stripe_id": "dp_1", "kind": "dispute", "status": "needs_response"}
    money_back.record(went_back(purchase, 499, **dispute), now=NOW)
    assert CreditLot.objects.get().remaining == 0

    won = {**dispute, "status": "won", "state": "returned"}
    money_back.record(went_back(purchase, 499, **won), now=NOW)

    assert CreditLot.objects.get().remaining == 500


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_package_lasts_a_day_to_ten_years(days: int) -> None:
    with pytest.raises(InvalidPackage) as refused:
        packages.create(OFFER._replace(expires_after_days=days), actor="operator:o", now=NOW)

    assert refused.value.details == {"expires_after_days": ["This value is invalid."]}


def test_the_database_refuses_an_expiry_of_zero_days() -> None:
    with pytest.raises(IntegrityError, match="package_expiry_positive"), transaction.atomic():
        package(expires_after_days=0)


def test_packages_and_purchases_have_the_days(anonymous: Caller, alice: Caller) -> None:
    purchase = started(package(expires_after_days=30))

    assert [one["expiresAfterDays"] for one in anonymous.get("packages").json()] == [30]
    assert [one["expiresAfterDays"] for one in alice.get("purchases").json()] == [30]
    assert alice.get(f"purchase/{purchase.pk}").json()["expiresAfterDays"] == 30


def test_a_changed_expiry_stops_an_automatic_top_up(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    packages.change(starter.pk, OFFER._replace(expires_after_days=30), actor="operator:o", now=NOW)

    assert work() == ["paused"]
    assert reason() == "offer_changed"


def test_an_automatic_top_up_agrees_to_the_expiry_and_buys_with_it(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    packages.change(starter.pk, OFFER._replace(expires_after_days=30), actor="operator:o", now=NOW)

    agreed = agree(alice, starter, stripe)
    work()

    assert agreed.json()["agreement"]["expiresAfterDays"] == 30
    assert Purchase.objects.get().expires_after_days == 30


def expire(days: int = 31) -> None:
    list(credit_expiry.expire_due(now=NOW + timedelta(days=days), limit=10))


def posted(user_id: str = "alice") -> Decimal:
    return Balance.objects.get(pk=user_id).posted


def refund_usage(used: Transaction) -> None:
    memo = Memo(description="Failed")
    ledger.refund("alice", -used.amount, memo=memo, origin=Origin("system"), usage_id=used.pk)


@pytest.mark.parametrize(
    ("used", "cents", "taken", "left"),
    [(0, 400, 0, 0), (150, 400, 150, -150), (150, 200, 0, 0), (300, 200, 100, -100)],
)
def test_a_refund_does_not_take_expired_credits_again(
    used: int, cents: int, taken: int, left: int
) -> None:
    purchase = pay(started(package(credits=400, price_euro_cents=400, expires_after_days=30)))
    if used:
        spend("alice", used)
    expire()

    planned = money_back.yet_to_take(purchase, cents)
    money_back.record(went_back(purchase, cents), now=NOW)

    assert planned == MoneyBack.objects.get().taken == taken
    assert posted() == left


def test_a_refund_leaves_the_same_balance_before_and_after_the_expiry() -> None:
    balances = []
    for late in (False, True):
        user = f"user-{late}"
        offer = package(credits=400, price_euro_cents=400, expires_after_days=30)
        purchase = pay(started(offer, user))
        spend(user, 100)
        if late:
            expire()
        money_back.record(went_back(purchase, 300), now=NOW)
        if late:
            money_back.record(went_back(purchase, 100), now=NOW)
        else:
            expire()
            money_back.record(went_back(purchase, 100), now=NOW)
        balances.append(posted(user))

    assert balances == [-100, -100]


def test_credits_that_expire_after_a_part_was_refunded_are_not_taken_again() -> None:
    purchase = pay(started(package(credits=400, price_euro_cents=400, expires_after_days=30)))
    money_back.record(went_back(purchase, 200), now=NOW)
    expire()

    money_back.record(went_back(purchase, 200), now=NOW)

    assert [one.taken for one in money_back.of_purchase(purchase)] == [200, 0]
    assert posted() == 0


def test_a_refund_after_the_date_posts_the_expiry_first() -> None:
    purchase = pay(started(package(expires_after_days=30)))
    give("alice", 1000)
    reach_the_date(NOW - timedelta(seconds=1))

    planned = money_back.yet_to_take(purchase, 499)
    money_back.record(went_back(purchase, 499), now=NOW)

    assert planned == 0
    assert posted() == 1000


def test_a_failed_refund_after_the_expiry_gives_back_only_what_it_took() -> None:
    purchase = pay(started(package(credits=400, price_euro_cents=400, expires_after_days=30)))
    spend("alice", 150)
    expire()
    money_back.record(went_back(purchase, 400, stripe_id="re_1"), now=NOW)

    failed = went_back(purchase, 400, stripe_id="re_1", state="returned", status="failed")
    money_back.record(failed, now=NOW)

    assert posted() == 0
    assert Transaction.objects.get(type="reinstatement").amount == 150


def test_a_dispute_of_expired_credits_gives_nothing_back_when_it_is_won() -> None:
    purchase = pay(started(package(expires_after_days=30)))
    expire()
    dispute = {"stripe_id": "dp_1", "kind": "dispute", "status": "needs_response"}
    money_back.record(went_back(purchase, 499, **dispute), now=NOW)

    won = {**dispute, "status": "won", "state": "returned"}
    money_back.record(went_back(purchase, 499, **won), now=NOW)

    assert posted() == 0
    assert purchase_types() == ["purchase", "expiry"]


def test_a_dispute_that_is_won_after_the_expiry_does_not_revive_the_credits() -> None:
    purchase = pay(started(package(expires_after_days=30)))
    dispute = {"stripe_id": "dp_1", "kind": "dispute", "status": "needs_response"}
    money_back.record(went_back(purchase, 499, **dispute), now=NOW)
    reach_the_date(NOW - timedelta(seconds=1))

    won = {**dispute, "status": "won", "state": "returned"}
    money_back.record(went_back(purchase, 499, **won), now=NOW)

    assert posted() == 0
    assert purchase_types() == ["purchase", "clawback", "reinstatement", "expiry"]


def test_credits_whose_expiry_an_operator_reversed_are_taken() -> None:
    purchase = pay(started(package(expires_after_days=30)))
    expire()
    expiry = Transaction.objects.get(type="expiry")
    ledger.reverse(expiry.pk, memo=Memo(description="Goodwill"), origin=Origin("operator:o"))

    money_back.record(went_back(purchase, 499), now=NOW)

    assert MoneyBack.objects.get().taken == 500
    assert posted() == 0


def test_a_refund_takes_credits_that_come_back_to_an_expired_lot_once() -> None:
    purchase = pay(started(package(credits=400, price_euro_cents=400, expires_after_days=30)))
    used = spend("alice", 300).transaction
    reach_the_date(NOW - timedelta(seconds=1))
    money_back.record(went_back(purchase, 200), now=NOW)
    assert posted() == -100

    refund_usage(used)
    money_back.record(went_back(purchase, 200), now=NOW)

    assert posted() == 0
    assert [one.taken for one in money_back.of_purchase(purchase)] == [100, 0]


def purchase_types() -> list[str]:
    return list(Transaction.objects.order_by("number").values_list("type", flat=True))


def test_a_lot_whose_date_passes_during_a_claw_back_is_taken_once() -> None:
    purchase = pay(started(package(expires_after_days=30)))
    gone = claw_back_shares.gone

    def date_passes(*arguments: Any) -> Decimal:
        reach_the_date(NOW)
        return gone(*arguments)

    with patch("credits.payments.claw_back_shares.gone", date_passes):
        money_back.record(went_back(purchase, 499), now=NOW)

    assert purchase_types() == ["purchase", "clawback"]
    assert posted() == 0


@pytest.mark.breaks_the_books
def test_a_claw_back_that_neither_the_ledger_nor_an_expiry_explains_is_found() -> None:
    purchase = pay(started(package(credits=400, price_euro_cents=400, expires_after_days=30)))
    spend("alice", 100)
    expire()
    money_back.record(went_back(purchase, 400), now=NOW)
    assert discrepancies() == []

    with as_owner():
        MoneyBack.objects.update(taken=99)

    sentence = f"99.0000 was taken of purchase {purchase.pk}, 400 of its 400 cents went back"
    assert sentence in "".join(discrepancies())
