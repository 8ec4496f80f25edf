"""Erasure of a person under concurrent requests: no deadlock, no lost credit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Sum

from credits.models import Balance, Reservation, Transaction
from gifts.models import GiftCode, GiftRedemption
from mana_credits.privacy import erasure
from tests.api import Caller, at_once, use
from tests.conftest import gifts_of
from tests.factories import gift, give, redeem

pytestmark = pytest.mark.usefixtures("committed")


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
