"""What the check of the books finds when purchases and the ledger disagree."""

import pytest
from django.db import connection

from credits import books
from credits.models import Package
from tests.api import Caller
from tests.stripe import Stripe, deliver

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


@pytest.fixture(autouse=True)
def half_refunded(alice: Caller, starter: Package, stripe: Stripe) -> None:
    """A purchase of alice's that was paid, and a part of it refunded."""
    purchase_id = alice.post("purchase", {"packageId": str(starter.pk)}).json()["purchaseId"]
    stripe.refund(stripe.pay(purchase_id)["id"], amount=100)
    for event in stripe.events():
        assert deliver(event).status_code == 200
    assert books.check(["alice"]) == []


@pytest.mark.parametrize(
    ("rule", "damage"),
    [
        (
            "a paid purchase has exactly its credits",
            "UPDATE credits.purchases SET credits = credits + 1",
        ),
        ("what went back took its credits", "UPDATE credits.returns SET taken = taken - 1"),
        (
            "claw-backs never exceed what was credited",
            "UPDATE credits.returns SET taken = taken + 1000",
        ),
    ],
)
def test_each_rule_of_purchases_finds_its_damage(rule: str, damage: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(damage)

    found = books.check(["alice"])

    assert rule in {one.rule for one in found}
    assert {one.user_id for one in found} == {"alice"}
