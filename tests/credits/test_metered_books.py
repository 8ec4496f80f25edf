"""`check_ledger` recomputes every amount that was priced by units."""

from decimal import Decimal

import pytest

from credits.ledger import books
from credits.models import Transaction
from tests.credits.test_check_ledger import damage
from tests.factories import give, meter, use_units

pytestmark = pytest.mark.django_db

RULE = "a metered transaction took the price of its units, minus what is unpaid"


@pytest.fixture
def alice() -> str:
    """Create a user with a metered use (number 2) and a commit that is not paid in full (3)."""
    give("alice", 10)
    use_units("alice")
    return "alice"


def misprices(since_last: bool = False) -> list[str]:
    found = books.check(["alice"], since_last=since_last)
    return [one.sentence for one in found if one.rule == RULE]


def test_metered_books_close(alice: str) -> None:
    assert books.check([alice]) == []
    assert [-row.amount for row in Transaction.objects.filter(type="usage").order_by("number")] == [
        Decimal("0.84"),
        Decimal("9.16"),
    ]


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("number", "metering", "sentence"),
    [
        (2, """ jsonb_set(metering, '{units,inputTokens}', '1201')""", "0.8404"),
        (2, """ jsonb_set(metering, '{unitCosts,outputTokens}', '"1.3"')""", "0.8700"),
        (2, """ jsonb_set(metering, '{minimum}', '"0.85"')""", "0.85"),
        (2, """ metering || '{"unpaid": "0.0001"}'""", "0.8399"),
        (2, """ jsonb_set(metering, '{units,imageTokens}', '1')""", ""),
        (2, """ metering - 'units'""", ""),
        (3, """ metering - 'unpaid'""", "12.0000"),
    ],
)
def test_an_amount_that_its_units_do_not_explain_is_named(
    alice: str, number: int, metering: str, sentence: str
) -> None:
    damage(f"UPDATE credits.transactions SET metering = {metering} WHERE number = {number}")

    took = {2: "0.8400", 3: "9.1600"}[number]
    assert misprices() == [f"transaction {number} took {took}, its units cost {sentence}"]


def test_the_price_of_a_metered_operation_may_change_afterwards(alice: str) -> None:
    meter(inputTokens="9", outputTokens="9")

    assert misprices() == []
