"""The check finds violations of the rules about purchases and returned money."""

from decimal import Decimal

import pytest
from django.db import connection

from credits.models import Purchase
from credits.payments import money_back
from credits.payments.stripe_facts import Movements
from tests.books import discrepancies
from tests.credits.test_money_back import NOW, paid, went_back
from tests.owner import as_owner

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


def tamper(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(sql)


def disagreeing(purchase: Purchase, *, taken: str, cents: int) -> str:
    return (
        f"{purchase.user_id}: {taken} was taken of purchase {purchase.pk}, {cents} of its 500 "
        "cents went back (claw-backs match the money that went back)"
    )


def misnamed(purchase: Purchase, status: str, derived: str) -> str:
    return (
        f"{purchase.user_id}: purchase {purchase.pk} is {status}, its refunds and disputes make it "
        f"{derived} (the status of a paid purchase matches its refunds and disputes)"
    )


@pytest.fixture
def purchase() -> Purchase:
    """Create a purchase of 1000 credits for 5 EUR with a refund of a fifth."""
    purchase = paid(Decimal(1000), 500)
    money_back.record(went_back(purchase, 100, stripe_id="re_1"), now=NOW)
    return purchase


def test_books_with_purchases_and_refunds_close(purchase: Purchase) -> None:
    assert discrepancies() == []


def test_the_share_of_a_very_large_purchase_is_exact() -> None:
    """With the places that numeric division keeps, the share would be rounded up."""
    purchase = paid(Decimal("82629007861.1343"), 82_094)

    money_back.record(went_back(purchase, 72_589), now=NOW)

    assert discrepancies() == []


def test_a_purchase_whose_credits_are_not_its_own_is_found(purchase: Purchase) -> None:
    tamper("UPDATE credits.purchases SET credits = 999")

    assert discrepancies() == [
        (
            f"{purchase.user_id}: purchase {purchase.pk} of 999.0000 credits is "
            "partially_refunded, the ledger credited 1000.0000 "
            "(a paid purchase has exactly its credits)"
        ),
        disagreeing(purchase, taken="200.0000", cents=100),
    ]


def test_credits_without_a_paid_purchase_are_found(purchase: Purchase) -> None:
    tamper(
        "UPDATE credits.purchases "
        "SET status = 'pending', transaction_id = NULL, completed_at = NULL"
    )

    assert [one.rpartition(" (")[2] for one in discrepancies()] == [
        "a paid purchase has exactly its credits)",
        "claw-backs match the money that went back)",
    ]


def test_credits_that_the_ledger_did_not_take_are_found(purchase: Purchase) -> None:
    tamper("UPDATE credits.returns SET taken = 100")

    assert discrepancies() == [
        (
            f"{purchase.user_id}: refund re_1 holds 100.0000 after 1 claw-backs, "
            "the ledger took 200.0000 in 1 "
            "(each refund or dispute matches its claw-backs)"
        ),
        disagreeing(purchase, taken="100.0000", cents=100),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM credits.returns",
        "UPDATE credits.returns SET stripe_payment_intent_id = 'pi_of_nobody'",
    ],
)
def test_a_claw_back_without_its_refund_is_found(purchase: Purchase, damage: str) -> None:
    tamper(damage)

    assert discrepancies() == [
        (
            f"{purchase.user_id}: transaction 2 of -200.0000 (refund:re_1) belongs to no refund "
            "or dispute (each refund or dispute matches its claw-backs)"
        ),
        misnamed(purchase, "partially_refunded", "completed"),
    ]


def test_a_claw_back_that_is_not_counted_is_found(purchase: Purchase) -> None:
    failed = went_back(purchase, 100, stripe_id="re_1", state="returned", status="failed")
    money_back.record(failed, now=NOW)

    tamper("UPDATE credits.returns SET takes = 0")

    assert discrepancies() == [
        (
            f"{purchase.user_id}: refund re_1 holds 0.0000 after 0 claw-backs, "
            "the ledger took 0.0000 in 1 (each refund or dispute matches its claw-backs)"
        )
    ]


def test_a_damaged_cause_of_a_purchase_is_found(purchase: Purchase) -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE credits.transactions DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE credits.transactions SET cause = 'purchase:no-id' WHERE type = 'purchase'"
        )

    assert (
        f"{purchase.user_id}: transaction 1 of 1000.0000 (purchase:no-id) belongs to no purchase "
        "(a paid purchase has exactly its credits)"
    ) in discrepancies()


def test_credits_of_money_that_stayed_are_found(purchase: Purchase) -> None:
    tamper("UPDATE credits.returns SET amount_cents = 99, withdrawn_cents = 99")

    assert discrepancies() == [
        disagreeing(purchase, taken="200.0000", cents=99),
    ]


def test_a_part_that_stands_withdrawn_and_took_nothing_is_found(purchase: Purchase) -> None:
    dispute = went_back(
        purchase, 400, kind="dispute", stripe_id="dp_1", movements=Movements(400, 400)
    )
    money_back.record(dispute, now=NOW)

    tamper(
        "UPDATE credits.returns SET reinstated_cents = 300, state = 'gone', given_back = false "
        "WHERE kind = 'dispute'"
    )

    assert discrepancies() == [
        disagreeing(purchase, taken="200.0000", cents=200),
        misnamed(purchase, "partially_refunded", "disputed"),
    ]


@pytest.mark.parametrize("status", ["completed", "refunded", "disputed"])
def test_a_status_that_no_refund_or_dispute_explains_is_found(
    purchase: Purchase, status: str
) -> None:
    tamper(f"UPDATE credits.purchases SET status = '{status}'")

    assert discrepancies() == [misnamed(purchase, status, "partially_refunded")]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE credits.purchases SET expires_after_days = 31",
        "UPDATE credits.purchases SET expires_after_days = NULL",
        "UPDATE credits.credit_lots SET expires_at = expires_at + interval '1 second'",
        "DELETE FROM credits.credit_lots",
    ],
)
def test_purchased_credits_with_another_expiry_than_agreed_are_found(damage: str) -> None:
    paid(days=30)
    assert discrepancies() == []

    with as_owner():
        tamper("SET LOCAL session_replication_role = replica")  # without foreign keys
        tamper(damage)

    assert any(one.endswith("(purchased credits expire as agreed)") for one in discrepancies())
