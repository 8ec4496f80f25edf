"""The check finds violations of the rules about gifts."""

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection

from credits.ledger import posting
from credits.ledger.posting import Memo, Movement
from credits.models import Transaction
from gifts.models import GiftCode, GiftRedemption
from tests.books import discrepancies
from tests.factories import SYSTEM, gift, give, redeem
from tests.owner import as_owner

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


def tamper(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with as_owner():
            cursor.execute("ALTER TABLE gifts.gift_codes DISABLE TRIGGER USER")
        cursor.execute(sql)


def test_books_with_every_kind_of_gift_close() -> None:
    give("ivan", 100)
    redeem(gift("ivan"), "judy")
    gift("ivan")

    assert discrepancies() == []


def test_a_gift_that_holds_more_than_was_paid_is_found() -> None:
    give("ivan", 10)
    made = gift("ivan")
    tamper("UPDATE gifts.gift_codes SET total_credits = 11")

    found = discrepancies()

    assert found == [
        (
            f"ivan: gift {made.pk} of 11.0000 was paid by -10.0000 of ivan "
            f"(gift-created:{made.pk}) (a gift was paid for by its creator)"
        )
    ]


def test_a_gift_of_another_user_than_the_one_who_paid_is_found() -> None:
    give("ivan", 10)
    give("judy", 1)
    made = gift("ivan")
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # without foreign keys
        cursor.execute("UPDATE gifts.gift_codes SET creator_id = 'judy'")

    found = discrepancies()

    assert found == [
        (
            f"judy: gift {made.pk} of 10.0000 was paid by  of  () "
            "(a gift was paid for by its creator)"
        )
    ]


@pytest.mark.parametrize("status", ["depleted", "expired", "cancelled"])
def test_a_gift_whose_credits_went_nowhere_is_found(status: str) -> None:
    give("ivan", 10)
    made = gift("ivan")
    tamper(f"UPDATE gifts.gift_codes SET status = '{status}'")

    found = discrepancies()

    assert found == [
        (
            f"ivan: gift {made.pk} of 10.0000 is {status}, 0 arrived at nobody "
            "(a gift's credits arrived once, where its status says)"
        )
    ]


def test_a_gift_that_lives_after_its_credits_arrived_is_found() -> None:
    give("ivan", 10)
    redeem(gift("ivan"), "judy")
    tamper("UPDATE gifts.gift_codes SET status = 'active'")

    found = discrepancies()

    assert len(found) == 1
    assert "is active, 10.0000 arrived at judy" in found[0]


def test_a_movement_without_a_gift_is_found() -> None:
    give("ivan", 10)
    gift_id = uuid4()
    movement = Movement(Transaction.Type.GIFT, Decimal(5), cause=f"gift:{gift_id}")
    posting.post("judy", movement, Memo(), SYSTEM)

    found = discrepancies()

    assert found == [
        (
            f"judy: transaction 1 of 5.0000 (gift:{gift_id}) belongs to no gift "
            "(every movement of a gift belongs to one)"
        )
    ]
    assert not GiftCode.objects.exists()
    assert not GiftRedemption.objects.exists()
