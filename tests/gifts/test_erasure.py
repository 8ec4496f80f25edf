"""Erasing a person takes their names and texts out of gifts; the credits stay where they are."""

from datetime import UTC, datetime, timedelta

import pytest

from credits import erasure
from credits.models import Balance
from gifts import expiry
from gifts.models import GiftCode, GiftRedemption
from tests.factories import gift, give, redeem

pytestmark = pytest.mark.django_db


def test_a_creators_name_and_texts_go_and_the_gift_still_works() -> None:
    give("ivan", 20)
    made = gift("ivan", 10, message="from your Ivan")

    erasure.erase("ivan")

    row = GiftCode.objects.get(pk=made.pk)
    assert row.creator_id.startswith("erased:")
    assert (row.creator_name, row.message, row.status) == (None, None, "active")
    assert redeem(made, "judy").balance.posted == 10


def test_what_comes_back_later_does_not_make_the_person_known_again() -> None:
    give("ivan", 20)
    gift("ivan", 10)
    erasure.erase("ivan")

    expired = sum(expiry.expire_due(now=datetime.now(UTC) + timedelta(days=91), limit=10))

    assert expired == 1
    assert not Balance.objects.filter(pk="ivan").exists()
    assert Balance.objects.get().posted == 20


def test_a_redeemers_id_and_address_go() -> None:
    give("ivan", 20)
    redeem(gift("ivan", 10, target_email="judy@example.test"), "judy", "judy@example.test")
    redeem(gift("ivan", 5), "judy")

    count = erasure.erase("judy")

    assert count == 5
    assert not GiftRedemption.objects.filter(redeemer_id="judy").exists()
    assert not GiftCode.objects.filter(target_email="judy@example.test").exists()
    assert GiftCode.objects.filter(creator_id="ivan", creator_name="Ivan").count() == 2
