"""Functions of the ledger: adjust, reverse, claw back, reinstate."""

from decimal import Decimal
from uuid import uuid4

import pytest

from credits.ledger import ledger, reservations
from credits.ledger.ledger import NotReversible
from credits.ledger.outcomes import (
    BalanceTooLarge,
    ExceedsOriginal,
    IdempotencyKeyReused,
    InsufficientCredits,
    TransactionUnknown,
)
from credits.ledger.posting import Memo, Origin, Posting
from credits.models import Balance, Transaction
from tests.factories import SYSTEM, give, hold, spend

pytestmark = pytest.mark.django_db

ANNA = Origin("operator:anna")
MEMO = Memo(description="a correction")
LARGEST = Decimal("99999999999.9999")


def adjust(amount: str, *, origin: Origin = ANNA) -> Posting:
    return ledger.adjust("alice", Decimal(amount), memo=MEMO, origin=origin)


def claw_back(amount: str, *, cause: str = "refund:re_1") -> Posting:
    return ledger.claw_back(
        "alice", Decimal(amount), memo=Memo(), origin=Origin("stripe"), cause=cause
    )


def reverse(transaction: Transaction) -> Posting:
    return ledger.reverse(transaction.pk, memo=MEMO, origin=ANNA)


def totals() -> tuple[Decimal, Decimal, Decimal]:
    balance = Balance.objects.get(pk="alice")
    return balance.posted, balance.total_earned, balance.total_spent


def test_an_adjustment_is_signed_and_names_its_operator() -> None:
    up = adjust("10.5").transaction
    down = adjust("-4").transaction

    assert (up.type, up.amount, up.balance_after) == (
        "adjustment",
        Decimal("10.5"),
        Decimal("10.5"),
    )
    assert (down.amount, down.balance_before) == (-4, Decimal("10.5"))
    assert (down.actor, down.description, down.cause) == ("operator:anna", "a correction", None)
    assert totals() == (Decimal("6.5"), Decimal("6.5"), 0)


def test_an_adjustment_may_leave_a_debt_which_the_next_credits_repay() -> None:
    give("alice", 10)

    adjust("-25")
    with pytest.raises(InsufficientCredits) as refusal:
        spend("alice", "0.0001")
    repaid = give("alice", 20)

    assert refusal.value.details == {"required": Decimal("0.0001"), "available": -15}
    assert repaid.balance.available == 5
    assert spend("alice", 5).balance.available == 0


def test_an_adjustment_with_a_key_is_posted_once() -> None:
    origin = Origin("operator:anna", key="a1")

    first, again = adjust("5", origin=origin), adjust("5.0000", origin=origin)
    with pytest.raises(IdempotencyKeyReused):
        adjust("6", origin=origin)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.transaction == first.transaction
    assert totals()[0] == 5


def test_a_reversal_is_the_opposite_and_linked() -> None:
    give("alice", 100)
    usage = spend("alice", 30).transaction

    posting = reverse(usage)

    entry = posting.transaction
    assert (entry.type, entry.amount, entry.related_id) == ("reversal", 30, usage.pk)
    assert (entry.actor, entry.cause) == ("operator:anna", f"reversal:{usage.pk}")
    assert totals() == (100, 100, 0)


def test_a_transaction_is_reversed_once() -> None:
    grant = give("alice", 100).transaction

    first, again = reverse(grant), reverse(grant)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.transaction == first.transaction
    assert totals() == (0, 0, 0)


def test_the_reversal_of_spent_credits_leaves_a_debt() -> None:
    grant = give("alice", 100).transaction
    spend("alice", 60)

    reverse(grant)

    assert totals() == (-60, 0, 60)


def test_a_reversal_is_not_reversed() -> None:
    reversal = reverse(give("alice", 100).transaction).transaction

    with pytest.raises(NotReversible):
        reverse(reversal)

    assert Transaction.objects.count() == 2


def test_a_usage_that_was_refunded_in_part_is_not_reversed() -> None:
    give("alice", 100)
    usage = spend("alice", 30).transaction
    ledger.refund("alice", Decimal(1), memo=MEMO, origin=SYSTEM, usage_id=usage.pk)

    with pytest.raises(ExceedsOriginal):
        reverse(usage)

    assert totals() == (71, 100, 29)


def test_a_reversed_usage_is_not_refunded() -> None:
    give("alice", 100)
    usage = spend("alice", 30).transaction
    reverse(usage)

    with pytest.raises(ExceedsOriginal):
        ledger.refund("alice", Decimal(1), memo=MEMO, origin=SYSTEM, usage_id=usage.pk)

    assert totals() == (100, 100, 0)


def test_the_reversal_of_a_refund_counts_as_spent_again() -> None:
    give("alice", 100)
    spend("alice", 30)
    refund = ledger.refund("alice", Decimal(10), memo=MEMO, origin=SYSTEM).transaction

    reverse(refund)

    assert totals() == (70, 100, 30)


def test_a_claw_back_takes_once_per_cause() -> None:
    give("alice", 100)

    first = claw_back("40")
    again = claw_back("40")
    other = claw_back("5", cause="refund:re_2")

    assert [posting.replayed for posting in (first, again, other)] == [False, True, False]
    assert again.transaction == first.transaction
    assert (first.transaction.type, first.transaction.amount) == ("clawback", -40)
    assert (first.transaction.actor, first.transaction.cause) == ("stripe", "refund:re_1")
    assert totals() == (55, 55, 0)


def test_a_claw_back_of_spent_credits_leaves_a_debt_which_the_next_credits_repay() -> None:
    give("alice", 100)
    spend("alice", 90)
    held = hold("alice", 5)

    taken = claw_back("100")
    released = reservations.release(held.pk, origin=SYSTEM)
    repaid = give("alice", 95)

    assert taken.balance.available == -95
    assert released.balance.available == -90
    assert repaid.balance.available == 5
    assert totals() == (5, 95, 90)


def test_a_hold_is_committed_although_a_debt_arose() -> None:
    give("alice", 100)
    held = hold("alice", 5)
    claw_back("100")

    hold_committed = reservations.commit(held.pk, origin=SYSTEM)

    assert hold_committed.balance.available == -5
    assert totals() == (-5, 0, 5)


def test_a_claw_back_of_a_user_never_seen_opens_a_debt() -> None:
    posting = claw_back("3")

    assert (posting.balance.available, posting.transaction.number) == (-3, 1)
    assert totals() == (-3, 0, 3)


def test_clawed_back_credits_are_reinstated_once() -> None:
    give("alice", 100)
    taken = claw_back("40").transaction

    postings = [ledger.reinstate(taken.pk, memo=Memo(), origin=Origin("stripe")) for _ in range(2)]

    assert [posting.replayed for posting in postings] == [False, True]
    entry = postings[0].transaction
    assert (entry.type, entry.amount, entry.related_id) == ("reinstatement", 40, taken.pk)
    assert postings[1].transaction == entry
    assert totals() == (100, 100, 0)


def test_only_a_claw_back_is_reinstated() -> None:
    grant = give("alice", 100).transaction

    for other in (grant.pk, uuid4()):
        with pytest.raises(TransactionUnknown):
            ledger.reinstate(other, memo=Memo(), origin=SYSTEM)

    assert totals() == (100, 100, 0)


def test_an_unknown_transaction_is_not_reversed() -> None:
    with pytest.raises(TransactionUnknown):
        ledger.reverse(uuid4(), memo=Memo(), origin=SYSTEM)

    assert not Balance.objects.exists()


def test_the_largest_amount_is_kept_exactly() -> None:
    give("alice", LARGEST)

    spend("alice", "0.0001")

    assert totals() == (LARGEST - Decimal("0.0001"), LARGEST, Decimal("0.0001"))


def test_no_total_grows_beyond_15_digits() -> None:
    give("alice", LARGEST)
    with pytest.raises(BalanceTooLarge):
        give("alice", "0.0001")

    spend("alice", str(LARGEST))
    with pytest.raises(BalanceTooLarge):
        give("alice", 1)

    assert totals() == (0, LARGEST, LARGEST)
    assert Balance.objects.get().last_number == 2


def test_no_debt_grows_beyond_15_digits() -> None:
    adjust(str(-LARGEST))

    with pytest.raises(BalanceTooLarge):
        adjust("-0.0001")

    assert totals() == (-LARGEST, 0, LARGEST)
