"""The check of the books finds every damage to credits that expire."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from credits.ledger import books, credit_expiry
from credits.ledger.lot_rules import LOT_RULES
from tests.factories import give, hold, spend
from tests.owner import as_owner

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]

NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + timedelta(days=3)
LATER = NOW + timedelta(days=30)
PARTS, EXPIRIES, AVAILABLE, NEXT, USES = LOT_RULES

DAMAGES = {
    "too much remains": (
        "UPDATE credits.credit_lots SET remaining = 6 WHERE expired = 0",
        {PARTS},
    ),
    "the lot is larger than its grant": (
        "UPDATE credits.credit_lots SET amount = 11, repaid = repaid + 1 WHERE expired = 0",
        {PARTS},
    ),
    "too much was taken": (
        "UPDATE credits.lot_uses SET taken = taken + 1 WHERE taken = 4",
        {PARTS, USES},
    ),
    "too much was given back": (
        "UPDATE credits.lot_uses SET given_back = 1 WHERE taken = 4",
        {PARTS, USES},
    ),
    "a use is lost": ("DELETE FROM credits.lot_uses WHERE taken = 4", {PARTS}),
    "a use has no taker": (
        "UPDATE credits.lot_uses SET taker_id = gen_random_uuid() WHERE taken = 1",
        {USES},
    ),
    "an expiry is lost": (
        "UPDATE credits.credit_lots SET expired = 0, repaid = repaid + expired WHERE expired > 0",
        {EXPIRIES},
    ),
    "a lot is lost": (
        "DELETE FROM credits.credit_lots WHERE expired > 0",
        {EXPIRIES},
    ),
    "the lots have more than the balance": (
        "UPDATE credits.credit_lots SET remaining = 96, amount = 101 WHERE expired = 0",
        {PARTS, AVAILABLE},
    ),
    "the balance does not know of its lot": (
        "UPDATE credits.balances SET next_expiry = NULL",
        {NEXT},
    ),
    "next_expiry is another time": (
        "UPDATE credits.balances SET next_expiry = next_expiry + interval '1 hour'",
        {NEXT},
    ),
}


@pytest.fixture(autouse=True)
def alice() -> None:
    """Alice has 5 of 10 credits left that expire later; 2 others have expired."""
    give("alice", 20)
    give("alice", 2, expires_at=SOON)
    list(credit_expiry.expire_due(now=SOON, limit=1))
    give("alice", 10, expires_at=LATER)
    spend("alice", 4)
    hold("alice", 1)
    assert books.check(["alice"]) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_found(damage: str) -> None:
    statement, expected = DAMAGES[damage]

    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # without foreign keys
        cursor.execute(statement)

    assert {one.rule for one in books.check(["alice"])} == expected


def test_each_rule_has_a_damage() -> None:
    assert {rule for _, rules in DAMAGES.values() for rule in rules} == set(LOT_RULES)
