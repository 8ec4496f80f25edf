"""Erasure of a person under concurrent requests: no deadlock, no lost credit."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from time import sleep
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Sum

from credits.bulkheads import TooBusy
from credits.ledger import Origin
from credits.models import (
    AdjustmentRequest,
    Balance,
    MoneyBack,
    Purchase,
    Reservation,
    SyncSubscription,
    Transaction,
)
from credits.payments import checkout, purchases, refund_requests
from credits.payments.checkout import PurchaseTooOld
from credits.payments.stripe_errors import RefusedByStripe
from credits.payments.stripe_facts import Payment
from credits.sync import cloud_sync
from gifts.models import GiftCode, GiftRedemption
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.acts.audit import Justification, Operator
from mana_credits.privacy import erasure, erasure_locks, gift_erasure
from mana_credits.privacy.erasure_rows import ErasedPerson
from tests.api import Caller, at_once, use
from tests.conftest import gifts_of
from tests.factories import gift, give, hold, package, redeem

pytestmark = pytest.mark.usefixtures("committed")

NOW = datetime.now(UTC)
ADDRESS = "judy@example.test"


def started(user_id: str) -> Purchase:
    """Return a pending purchase of 500 credits, without a Stripe."""
    opened = {"id": "pi_1", "client_secret": "secret"}
    with (
        patch("credits.payments.stripe_api.create_customer", return_value="cus_1"),
        patch("credits.payments.stripe_api.create_intent", return_value=opened),
    ):
        offer = package()
        return checkout.start(user_id, offer.pk, pages=None, origin=Origin("user"), now=NOW)


def payment(purchase: Purchase) -> Payment:
    """Return the payment of a purchase."""
    intent, cents = purchase.stripe_payment_intent_id, purchase.price_euro_cents
    return Payment(intent, None, purchase.pk, cents, "eur", "succeeded")


def test_uses_reservations_and_gifts_go_on_while_somebody_is_erased(service: Caller) -> None:
    give("judy", 100)
    give("ivan", 50)
    received, made = gift("ivan", 9), gift("judy", 20)
    judy, kate = gifts_of("judy"), gifts_of("kate")
    hold = {"userId": "judy", "amount": 3, "reason": "chat:x"}
    acts: list[Callable[[], Any]] = [
        lambda: service.delete("balance/judy"),
        lambda: judy.post(f"/api/v1/gifts/{received.code}/redeem", {}),
        lambda: kate.post(f"/api/v1/gifts/{made.code}/redeem", {}),
        lambda: judy.post("/api/v1/gifts", {"totalCredits": 4}),
        *[lambda: service.post("use", use(2, userId="judy"))] * 6,
        *[lambda: service.post("reserve", hold)] * 3,
        lambda: service.delete("balance/judy"),
    ]

    answers = at_once(len(acts), lambda index: acts[index]())

    # A request that waited too long gets 503 and may retry.
    assert {answer.status_code for answer in answers} <= {200, 201, 400, 402, 404, 503}
    assert service.delete("balance/judy").status_code == 200
    used = -(Transaction.objects.filter(type="usage").aggregate(sum=Sum("amount"))["sum"] or 0)
    posted = Balance.objects.aggregate(sum=Sum("posted"))["sum"]
    waiting = GiftCode.objects.filter(status="active").aggregate(sum=Sum("total_credits"))["sum"]
    assert posted + used + (waiting or 0) == Decimal(150)
    assert used == 2 * sum(answer.status_code == 200 for answer in answers[4:10])
    assert Balance.objects.filter(pk__startswith="erased:").exists()
    assert not Transaction.objects.filter(user_id="judy").exists()
    assert not GiftRedemption.objects.filter(redeemer_id="judy").exists()
    assert not GiftCode.objects.filter(creator_id="judy").exists()
    assert not Reservation.objects.filter(user_id="judy").exists()


def test_a_gift_is_redeemed_or_comes_back_when_its_creator_is_erased(service: Caller) -> None:
    give("ivan", 50)
    gifts = [gift("ivan", 5) for _ in range(5)]
    kate = gifts_of("kate")

    at_once(
        6,
        lambda index: (
            kate.post(f"/api/v1/gifts/{gifts[index].code}/redeem", {})
            if index < 5
            else service.delete("balance/ivan")
        ),
    )

    redeemed = GiftRedemption.objects.count()
    assert set(GiftCode.objects.values_list("status", flat=True)) <= {"depleted", "cancelled"}
    assert Balance.objects.get(pk__startswith="erased:").posted == 50 - 5 * redeemed
    assert sum(Balance.objects.filter(pk="kate").values_list("posted", flat=True)) == 5 * redeemed
    assert not Balance.objects.filter(pk="ivan").exists()
    assert not Reservation.objects.exists()


@pytest.mark.parametrize("seen_before", [False, True])
def test_credits_that_are_just_arriving_are_erased_too(seen_before: bool) -> None:
    if seen_before:
        give("judy", 1)
    give("ivan", 10)
    made = gift("ivan", 9)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            redeem(made, "judy")
            erased = pool.submit(at_once, 1, lambda _: erasure.erase("judy"))
            with pytest.raises(TimeoutError):
                erased.result(0.3)
        (count,) = erased.result(5)

    assert count == 3 + seen_before  # transactions, the redemption, the balance
    assert GiftRedemption.objects.get().redeemer_id.startswith("erased:")
    assert not Transaction.objects.filter(user_id="judy").exists()
    assert not Balance.objects.filter(pk="judy").exists()


def pay(purchase: Purchase, _: int) -> None:
    """Complete a purchase."""
    purchases.complete(payment(purchase), at=NOW, now=NOW)


def wait_for_a_lock() -> None:
    """Return when a session waits for a lock."""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
            if cursor.rowcount:
                return
        sleep(0.01)
    pytest.fail("no session waits for a lock")


def test_a_purchase_paid_between_the_locks_of_an_erasure_is_credited_and_erased() -> None:
    give("judy", 1)
    lock_balance = erasure_locks.lock_balance
    paid: list[Future[Any]] = []

    with ThreadPoolExecutor(1) as pool:

        def pay_meanwhile(person: ErasedPerson) -> bool:
            # The purchase is added after the erasure has locked the person's purchases.
            added = [] if paid else pool.submit(at_once, 1, lambda _: started("judy")).result(5)
            had_balance = lock_balance(person)
            for bought in added:
                paid.append(pool.submit(at_once, 1, partial(pay, bought)))
                wait_for_a_lock()
            return had_balance

        with patch.object(erasure_locks, "lock_balance", pay_meanwhile):
            erasure.erase("judy")
        paid[0].result(5)

    assert Purchase.objects.get().user_id.startswith("erased:")
    assert Balance.objects.get().posted == 501


def test_a_refused_refund_and_an_erasure_lock_in_the_same_order() -> None:
    bought = started("judy")
    purchases.complete(payment(bought), at=NOW, now=NOW)
    origin = Origin("operator:olga", key="r1")
    asked = refund_requests.ask(bought.pk, cents=100, reason="asked", origin=origin, now=NOW)

    with ThreadPoolExecutor(1) as pool:
        with (
            transaction.atomic(),
            patch("credits.payments.stripe_api.create_refund", side_effect=RefusedByStripe),
        ):
            Purchase.objects.select_for_update().get()
            sent = pool.submit(at_once, 1, lambda _: refund_requests.send(asked, now=NOW))
            wait_for_a_lock()
            erasure.erase("judy")
        with pytest.raises(RefusedByStripe):
            sent.result(5)

    assert not MoneyBack.objects.exists()
    assert Balance.objects.get().posted == 500


def during_an_erasure_of_judy(act: Callable[[], Any]) -> Any:
    """Erase judy. When all locks are taken, start `act`, which waits for one. Return its result."""
    strip = gift_erasure.ROWS.strip
    begun: list[Future[Any]] = []

    with ThreadPoolExecutor(1) as pool:

        def strip_meanwhile(person: ErasedPerson) -> Counter[str]:
            begun.append(pool.submit(at_once, 1, lambda _: act()))
            wait_for_a_lock()
            return strip(person)

        slow = (gift_erasure.ROWS._replace(strip=strip_meanwhile), *erasure.OTHER_APPS[1:])
        with patch.object(erasure, "OTHER_APPS", slow):
            erasure.erase_rows("judy", addresses=[ADDRESS])
        (result,) = begun[0].result(5)
    return result


def test_a_gift_made_and_redeemed_during_the_erasure_of_its_recipient_arrives_after_it() -> None:
    give("judy", 1)
    give("ivan", 10)

    during_an_erasure_of_judy(
        lambda: redeem(gift("ivan", 9, target_email=ADDRESS), "judy", ADDRESS)
    )

    assert Balance.objects.get(pk="judy").posted == 9
    assert Balance.objects.get(pk__startswith="erased:").posted == 1


def test_cloud_sync_that_is_given_during_an_erasure_is_given_to_the_next_account() -> None:
    cloud_sync.give("judy", by="operator:olga", now=NOW)

    during_an_erasure_of_judy(lambda: cloud_sync.give("judy", by="operator:olga", now=NOW))

    assert SyncSubscription.objects.get(pk="judy").gifted


def test_an_adjustment_is_approved_while_its_account_is_erased() -> None:
    """The approval has locked the request and waits for the balance."""
    give("judy", 1)
    why, now = Justification("goodwill", "The chat hung"), datetime.now(UTC)
    sam, fiona = (Operator(name, lambda _: True) for name in ("sam", "fiona"))
    asked = balance_adjustments.adjust(sam, "judy", Decimal(500), why=why, key=uuid4(), now=now)
    assert isinstance(asked, AdjustmentRequest)
    post = balance_adjustments._post
    erased: list[Future[Any]] = []

    with ThreadPoolExecutor(1) as pool:

        def post_meanwhile(*args: Any, **options: Any) -> Any:
            erased.append(pool.submit(at_once, 1, lambda _: erasure.erase("judy")))
            wait_for_a_lock()
            return post(*args, **options)

        with patch.object(balance_adjustments, "_post", post_meanwhile):
            balance_adjustments.approve(fiona, asked.pk, note="", key=uuid4(), now=now)
        erased[0].result(5)

    assert Balance.objects.get().posted == 501
    assert AdjustmentRequest.objects.get().user_id.startswith("erased:")


def test_a_purchase_that_is_being_opened_does_not_name_an_erased_customer() -> None:
    def erase(user_id: str, *_: object) -> str:
        erasure.erase(user_id)
        return "cus_1"

    with patch.object(checkout, "_customer_of", erase), pytest.raises(PurchaseTooOld):
        started("judy")

    purchase = Purchase.objects.get()
    assert (purchase.stripe_customer_id, purchase.client_secret) == (None, None)


def test_a_deleted_customer_is_not_opened_again_by_an_old_request() -> None:
    with pytest.raises(TooBusy):
        checkout._make_customer("judy")


def test_an_erasure_gives_up_if_rows_are_added_all_the_time() -> None:
    give("judy", 100)
    lock_balance = erasure_locks.lock_balance

    with ThreadPoolExecutor(1) as pool:

        def hold_meanwhile(person: ErasedPerson) -> bool:
            pool.submit(at_once, 1, lambda _: hold("judy", 1)).result(5)
            return lock_balance(person)

        with (
            patch.object(erasure_locks, "lock_balance", hold_meanwhile),
            pytest.raises(CommandError, match="Run the command again"),
        ):
            call_command("erase_user", "judy", "--apply")

    assert Balance.objects.get().user_id == "judy"
