"""Erasure of a person's gifts: names and texts are deleted, credits stay or return."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from credits.ledger.outcomes import IdempotencyKeyReused
from credits.ledger.posting import Origin
from credits.models import Balance, IdempotencyKey
from credits.principals import User
from gifts import campaigns, codes
from gifts.campaigns import CampaignPlan
from gifts.codes import GiftNotRedeemable, GiftUnknown, NewGift
from gifts.models import Campaign, GiftCode, GiftMisses, GiftRedemption
from gifts.throttle import Attempt
from mana_credits.privacy import erasure, gift_erasure
from tests.factories import gift, give, redeem

NOW = datetime.now(UTC)
pytestmark = pytest.mark.django_db


def test_a_creators_gift_comes_back_and_its_texts_go() -> None:
    give("ivan", 20)
    made = gift("ivan", 10, message="from your Ivan")

    erasure.erase("ivan")

    row = GiftCode.objects.get(pk=made.pk)
    assert row.creator_id.startswith("erased:")
    assert (row.creator_name, row.message, row.status) == (None, None, "cancelled")
    assert Balance.objects.get().posted == 20
    with pytest.raises(GiftNotRedeemable):
        redeem(made, "judy")


def test_what_was_over_already_counts_as_expired() -> None:
    give("ivan", 20)
    gift("ivan", 10, at=datetime.now(UTC) - timedelta(days=9), days=7)

    erasure.erase("ivan")

    assert GiftCode.objects.get().status == "expired"
    assert Balance.objects.get().posted == 20


def test_what_was_redeemed_stays_with_the_redeemer() -> None:
    give("ivan", 20)
    redeem(gift("ivan", 10), "judy")

    erasure.erase("ivan")

    assert Balance.objects.get(pk="judy").posted == 10
    assert GiftRedemption.objects.get().redeemer_id == "judy"
    assert GiftCode.objects.get().status == "depleted"


def test_what_was_redeemed_a_moment_before_does_not_come_back() -> None:
    give("ivan", 20)
    made = gift("ivan", 10)
    redeem(made, "judy")

    gift_erasure._return(made.pk, now=NOW)

    assert GiftCode.objects.get().status == "depleted"
    assert Balance.objects.get(pk="ivan").posted == 10


def test_a_gift_to_the_person_goes_back_to_its_creator() -> None:
    give("ivan", 20)
    redeem(gift("ivan", 1, target_email="Judy@Example.test"), "judy", "judy@example.test")
    waiting = gift("ivan", 10, target_email="judy@example.test", message="Dear Judy")
    other = gift("ivan", 2, target_email="kate@example.test")

    erasure.erase("judy")

    waiting.refresh_from_db()
    other.refresh_from_db()
    assert (waiting.status, waiting.message) == ("cancelled", None)
    assert str(waiting.target_email).startswith("erased:")
    assert (other.status, other.target_email) == ("active", "kate@example.test")
    assert Balance.objects.get(pk="ivan").posted == 17


def test_the_request_that_named_the_address_is_never_new_again() -> None:
    give("ivan", 20)
    wanted = NewGift(Decimal(5), datetime.now(UTC) + timedelta(days=9), "judy@example.test")
    origin = Origin("user", key="key-1")
    codes.create(User("ivan"), wanted, origin=origin, now=datetime.now(UTC))

    erasure.erase_rows("judy", addresses=["Judy@example.test"])

    assert IdempotencyKey.objects.get(key="key-1").fingerprint == "erased"
    with pytest.raises(IdempotencyKeyReused):
        codes.create(User("ivan"), wanted, origin=origin, now=datetime.now(UTC))
    assert Balance.objects.get(pk="ivan").posted == 20


def test_the_count_of_wrong_codes_goes() -> None:
    for user_id in ("judy", "judy2"):
        with pytest.raises(GiftUnknown):
            codes.find("AAAA-BBBB-CCCC", guesser=Attempt("192.0.2.1", user_id), now=NOW)

    erased = erasure.erase_rows("judy")

    assert erased.rows == {"invalid codes": 1}
    assert set(GiftMisses.objects.values_list("pk", flat=True)) == {
        "address:192.0.2.1",
        "user:judy2",
    }


def test_a_campaign_that_the_person_paid_for_loses_its_texts() -> None:
    give("ivan", 20)
    plan = CampaignPlan(
        2,
        Decimal(5),
        expires_at=NOW + timedelta(days=9),
        actor="operator:olga",
        account_id="ivan",
        message="Hello",
        creator_name="Ivan",
    )
    list(campaigns.make_codes(campaigns.start("fair", plan, now=NOW), now=NOW))

    erasure.erase("ivan")

    campaign = Campaign.objects.get()
    assert campaign.account_id.startswith("erased:")
    assert (campaign.message, campaign.creator_name) == (None, None)
    assert set(GiftCode.objects.values_list("status", flat=True)) == {"cancelled"}


def test_a_redeemers_id_and_address_go() -> None:
    give("ivan", 20)
    redeem(gift("ivan", 10, target_email="judy@example.test"), "judy", "judy@example.test")
    redeem(gift("ivan", 5), "judy")

    count = erasure.erase("judy")

    assert count == 6  # 2 transactions, 2 redemptions, the gift to the address, the balance
    assert not GiftRedemption.objects.filter(redeemer_id="judy").exists()
    assert not GiftCode.objects.filter(target_email="judy@example.test").exists()
    assert GiftCode.objects.filter(creator_id="ivan", creator_name="Ivan").count() == 2
