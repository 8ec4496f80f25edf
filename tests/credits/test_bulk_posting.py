"""Bulk posting obeys the same rules as single movements."""

from decimal import Decimal

import pytest

from credits.ids import new_id
from credits.ledger import bulk_posting
from credits.ledger.bulk_posting import BulkEntry
from credits.ledger.ledger import Type
from credits.ledger.posting import Memo, Movement, Origin, Priced
from credits.models import Balance, Transaction

pytestmark = pytest.mark.django_db

SERVICE = Origin("service:chat")


def grant(user_id: str, amount: int, cause: str | None = None) -> BulkEntry:
    movement = Movement(Type.GRANT, Decimal(amount), cause=cause)
    return BulkEntry(new_id(), user_id, movement, Memo(description="a gift"), SERVICE)


def spend(user_id: str, amount: Decimal | Priced) -> BulkEntry:
    movement = Movement(Type.USAGE, amount, counts_as="spent")
    return BulkEntry(new_id(), user_id, movement, Memo("chat", "a spend", {"n": 1}), SERVICE)


def test_entries_are_posted_in_their_order() -> None:
    entries = [
        grant("alice", 10),
        spend("alice", Decimal("-9.5")),
        grant("bob", 5),
        grant("alice", 1),
        spend("bob", Priced("ai_chat_gpt4")),
    ]

    refused = bulk_posting.post_all(entries)

    assert refused == []
    rows = Transaction.objects.filter(user_id="alice").order_by("number")
    assert [(row.pk, row.amount, row.balance_after) for row in rows] == [
        (entries[0].id, 10, 10),
        (entries[1].id, Decimal("-9.5"), Decimal("0.5")),
        (entries[3].id, 1, Decimal("1.5")),
    ]
    assert rows[1].metadata == {"n": 1}
    assert Balance.objects.get(pk="bob").posted == 0


def test_what_is_refused_is_told_and_moves_nothing() -> None:
    paid, too_much, again = (
        grant("alice", 10, "once"),
        spend("alice", Decimal(-11)),
        grant("alice", 10, "once"),
    )

    refused = bulk_posting.post_all([paid, too_much, again])

    assert refused == [(too_much.id, "insufficient_credits"), (again.id, "replayed")]
    assert Balance.objects.get().posted == 10


def test_a_second_batch_does_not_repeat_the_first() -> None:
    bulk_posting.post_all([grant("alice", 10)])

    bulk_posting.post_all([grant("alice", 5)])

    assert Balance.objects.get().posted == 15


def test_nothing_is_nothing() -> None:
    assert bulk_posting.post_all([]) == []
