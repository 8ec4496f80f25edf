"""Credits that expire: what expires first is spent first, and nobody spends what has expired."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection

from credits.ids import new_id
from credits.ledger import credit_expiry, ledger, reservations, spend_batches
from credits.ledger.outcomes import ExceedsOriginal, InsufficientCredits
from credits.ledger.posting import Memo, Origin, Posting, Priced
from credits.ledger.spend_batches import Spend, Spent
from credits.models import Balance, CreditLot, LotUse, Transaction
from credits.principals import User
from gifts import codes
from gifts.codes import GiftOfExpiringCredits
from tests.factories import gift, give, lapse, meter, spend, wish
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + timedelta(days=3)
LATER = NOW + timedelta(days=30)
AFTER = SOON + timedelta(minutes=1)
SYSTEM = Origin("system")
MEMO = Memo(description="for the test")


def at(moment: datetime) -> Origin:
    return Origin("system", at=moment)


def lot(posting: Posting) -> CreditLot:
    return CreditLot.objects.get(pk=posting.transaction.pk)


def left(*postings: Posting) -> list[float]:
    return [float(lot(posting).remaining) for posting in postings]


def entries(user_id: str = "alice") -> list[tuple[str, float]]:
    rows = Transaction.objects.filter(user_id=user_id).order_by("number")
    return [(row.type, float(row.amount)) for row in rows]


def row(user_id: str = "alice") -> Balance:
    return Balance.objects.get(pk=user_id)


def refund(of: UUID, amount: float, origin: Origin = SYSTEM) -> Posting:
    return ledger.refund("alice", Decimal(str(amount)), memo=MEMO, origin=origin, usage_id=of)


def hold(amount: float, *, until: timedelta = timedelta(hours=1), at: datetime = NOW) -> UUID:
    held = reservations.reserve(
        "alice", Decimal(str(amount)), reason="chat", origin=Origin("service", at=at), ttl=until
    )
    return held.reservation.pk


def adjust(amount: float) -> Posting:
    return ledger.adjust("alice", Decimal(str(amount)), memo=MEMO, origin=SYSTEM)


# What is spent first


def test_a_spend_takes_what_expires_first() -> None:
    late = give("alice", 10, expires_at=LATER)
    soon = give("alice", 10, expires_at=SOON)
    give("alice", 10)

    spend("alice", 14)

    assert left(soon, late) == [0, 6]
    assert row().next_expiry == LATER
    spend("alice", 10)
    assert left(soon, late) == [0, 0]
    assert row().next_expiry is None
    assert row().posted == 6


def test_users_without_such_credits_have_no_lots() -> None:
    give("alice", 10)
    used = spend("alice", 4)

    refund(used.transaction.pk, 4)

    assert row().next_expiry is None
    assert not CreditLot.objects.exists()
    assert not LotUse.objects.exists()


def test_an_adjustment_and_a_claw_back_take_what_expires_first() -> None:
    soon = give("alice", 10, expires_at=SOON)
    give("alice", 10)

    adjust(-3)
    ledger.claw_back("alice", Decimal(1), memo=MEMO, origin=SYSTEM, cause="refund:re_1")

    assert left(soon) == [6]


def test_a_gift_takes_only_credits_that_never_expire() -> None:
    soon = give("alice", 10, expires_at=SOON)
    give("alice", 4)
    hold(2)

    gift("alice", 4)

    assert left(soon) == [8]
    with pytest.raises(GiftOfExpiringCredits):
        gift("alice", 1)
    assert entries() == [("grant", 10), ("grant", 4), ("gift", -4)]
    assert (left(soon), float(row().available)) == ([8], 8)


def test_a_gift_of_more_than_is_available_is_refused_as_before() -> None:
    give("alice", 10, expires_at=SOON)

    with pytest.raises(InsufficientCredits):
        gift("alice", 11)


def test_a_reversal_of_a_grant_takes_its_own_credits_first() -> None:
    soon = give("alice", 10, expires_at=SOON)
    late = give("alice", 10, expires_at=LATER)

    ledger.reverse(late.transaction.pk, memo=MEMO, origin=SYSTEM)

    assert left(soon, late) == [10, 0]


# Expiry


def test_what_is_left_expires() -> None:
    granted = give("alice", 10, expires_at=SOON)
    give("alice", 5)
    spend("alice", 4)

    outcomes = list(credit_expiry.expire_due(now=AFTER, limit=10))

    assert outcomes == ["expired"]
    assert entries() == [("grant", 10), ("grant", 5), ("usage", -4), ("expiry", -6)]
    posted = Transaction.objects.get(type="expiry")
    assert (posted.actor, posted.app_id, posted.description) == (
        "system", "system", "Credits expired",
    )  # fmt: skip
    assert posted.cause == f"expiry:{granted.transaction.pk}"
    assert posted.related_id == granted.transaction.pk
    assert (lot(granted).remaining, lot(granted).expired) == (0, 6)
    balance = row()
    assert (balance.posted, balance.total_earned, balance.total_spent) == (5, 9, 4)
    assert balance.next_expiry is None
    assert list(credit_expiry.expire_due(now=AFTER, limit=10)) == []


def test_the_id_of_an_expiry_sorts_by_time_as_every_other_id() -> None:
    give("alice", 10, expires_at=SOON)
    before = new_id()
    list(credit_expiry.expire_due(now=AFTER, limit=10))
    after = new_id()

    made = Transaction.objects.get(type="expiry").pk

    assert made.version == 7
    assert before.int >> 80 <= made.int >> 80 <= after.int >> 80


def test_credits_expire_exactly_at_their_time() -> None:
    give("alice", 10, expires_at=SOON)

    assert list(credit_expiry.expire_due(now=SOON - timedelta(milliseconds=1), limit=10)) == []
    assert list(credit_expiry.expire_due(now=SOON, limit=10)) == ["expired"]


def test_nobody_spends_what_has_expired_while_the_worker_is_late() -> None:
    give("alice", 10, expires_at=SOON)
    give("alice", 5)

    with pytest.raises(InsufficientCredits) as refused:
        ledger.spend("alice", Decimal(6), memo=MEMO, origin=at(AFTER))
    spent = ledger.spend("alice", Decimal(5), memo=MEMO, origin=at(AFTER))

    assert refused.value.details == {"required": 6, "available": 5}
    assert spent.balance.posted == 0
    assert entries() == [("grant", 10), ("grant", 5), ("expiry", -10), ("usage", -5)]


def test_credits_that_expire_later_are_left_when_others_expire() -> None:
    soon = give("alice", 10, expires_at=SOON)
    late = give("alice", 10, expires_at=LATER)

    list(credit_expiry.expire_due(now=AFTER, limit=10))

    assert left(soon, late) == [0, 10]
    assert row().next_expiry == LATER


def test_two_due_lots_are_two_transactions() -> None:
    give("alice", 1, expires_at=SOON)
    give("alice", 2, expires_at=SOON)

    list(credit_expiry.expire_due(now=AFTER, limit=10))

    assert entries()[2:] == [("expiry", -1), ("expiry", -2)]


def test_a_late_movement_with_an_old_timestamp_does_not_revive_credits() -> None:
    give("alice", 10, expires_at=LATER)
    lapse("alice")

    with pytest.raises(InsufficientCredits):
        ledger.spend("alice", Decimal(1), memo=MEMO, origin=at(NOW - timedelta(days=400)))

    assert entries() == [("grant", 10), ("expiry", -10)]
    expired = Transaction.objects.get(type="expiry")
    assert expired.created_at >= NOW
    assert expired.recorded_at is None


def test_the_command_expires_credits(capsys: Any) -> None:
    give("alice", 10, expires_at=LATER)
    lapse("alice")

    call_command("expire_credits")

    assert capsys.readouterr().out == "expire_credits: 1 expired.\n"
    assert entries() == [("grant", 10), ("expiry", -10)]


def test_the_job_is_due_when_the_first_credits_expire() -> None:
    assert credit_expiry.next_due(NOW) is None
    give("alice", 10, expires_at=LATER)
    give("bob", 10, expires_at=SOON)

    assert credit_expiry.next_due(NOW) == SOON


# Debts


def test_a_grant_that_covers_a_debt_leaves_a_smaller_lot() -> None:
    give("alice", 1)
    adjust(-5)

    granted = give("alice", 10, expires_at=SOON)

    assert (lot(granted).remaining, lot(granted).repaid) == (6, 4)
    list(credit_expiry.expire_due(now=AFTER, limit=10))
    assert row().posted == 0


def test_credits_that_come_back_repay_a_debt_first() -> None:
    granted = give("alice", 10, expires_at=SOON)
    used = spend("alice", 10)
    adjust(-4)

    refund(used.transaction.pk, 10)

    assert (lot(granted).remaining, lot(granted).repaid) == (6, 4)


def test_a_hold_given_back_after_a_claw_back_repays_it() -> None:
    granted = give("alice", 10, expires_at=SOON)
    held = hold(10)
    adjust(-4)

    reservations.release(held, origin=at(NOW))

    assert (lot(granted).remaining, lot(granted).repaid) == (6, 4)
    assert row().posted == 6


# Reservations


def test_a_hold_keeps_its_part_from_expiring() -> None:
    granted = give("alice", 10, expires_at=SOON)
    held = hold(4, until=timedelta(days=7))

    list(credit_expiry.expire_due(now=AFTER, limit=10))

    assert entries() == [("grant", 10), ("expiry", -6)]
    reservations.commit(held, origin=at(AFTER))
    assert entries()[2:] == [("usage", -4)]
    assert (lot(granted).remaining, lot(granted).expired) == (0, 6)
    assert row().posted == 0


def test_a_smaller_commit_gives_the_rest_back() -> None:
    soon = give("alice", 3, expires_at=SOON)
    late = give("alice", 10, expires_at=LATER)
    held = hold(8)
    assert left(soon, late) == [0, 5]

    reservations.commit(held, amount=Decimal(4), origin=at(NOW))

    assert left(soon, late) == [0, 9]
    assert row().next_expiry == LATER


@pytest.mark.parametrize("settle", ["commit", "release", "expire"])
def test_what_a_hold_gives_back_after_its_date_expires_at_once(settle: str) -> None:
    give("alice", 10, expires_at=SOON)
    held = hold(10, until=timedelta(days=7) if settle != "expire" else timedelta(days=3))

    if settle == "commit":
        settled = reservations.commit(held, amount=Decimal(4), origin=at(AFTER))
    else:
        settled = getattr(reservations, settle)(held, origin=at(AFTER))

    taken = [("usage", -4)] if settle == "commit" else []
    assert entries() == [("grant", 10), *taken, ("expiry", -6 if taken else -10)]
    assert (settled.balance.posted, settled.balance.held) == (0, 0)
    assert row().next_expiry is None


def test_a_released_hold_is_spent_and_expires_as_before() -> None:
    granted = give("alice", 10, expires_at=SOON)
    give("alice", 10)
    held = hold(15)
    assert row().next_expiry is None

    reservations.release(held, origin=at(NOW))

    assert left(granted) == [10]
    assert row().next_expiry == SOON
    assert not LotUse.objects.exists()


def test_a_commit_that_is_refunded_gives_back_to_the_lot() -> None:
    granted = give("alice", 10, expires_at=SOON)
    committed = reservations.commit(hold(6), origin=at(NOW))

    refund(committed.reservation.transaction_id, 6)  # type: ignore[arg-type]

    assert left(granted) == [10]


def test_a_hold_gives_back_what_expires_last_first_while_it_repays_a_debt() -> None:
    soon = give("alice", 5, expires_at=SOON)
    late = give("alice", 5, expires_at=LATER)
    held = hold(10)
    adjust(-4)

    reservations.release(held, origin=at(NOW))

    assert left(soon, late) == [1, 5]
    assert lot(soon).repaid == 4


# Refunds


def test_a_refund_gives_back_what_was_taken_last_first() -> None:
    soon = give("alice", 3, expires_at=SOON)
    late = give("alice", 3, expires_at=LATER)
    give("alice", 4)
    used = spend("alice", 10).transaction.pk

    refund(used, 5)
    assert left(soon, late) == [0, 1]
    refund(used, 3)
    assert left(soon, late) == [1, 3]
    refund(used, 2)
    assert left(soon, late) == [3, 3]
    with pytest.raises(ExceedsOriginal):
        refund(used, 1)
    assert row().posted == 10


def test_a_refund_after_the_date_expires_at_once() -> None:
    granted = give("alice", 10, expires_at=SOON)
    used = spend("alice", 10).transaction.pk

    posting = refund(used, 4, at(AFTER))
    refund(used, 6, at(AFTER))

    assert entries()[2:] == [("refund", 4), ("expiry", -4), ("refund", 6), ("expiry", -6)]
    assert posting.transaction.type == "refund"
    assert posting.balance.posted == 0
    causes = Transaction.objects.filter(type="expiry").order_by("number")
    name = f"expiry:{granted.transaction.pk}"
    assert list(causes.values_list("cause", flat=True)) == [name, f"{name}:2"]
    assert lot(granted).expired == 10


def test_a_gift_that_comes_back_never_expires() -> None:
    granted = give("alice", 10, expires_at=SOON)
    give("alice", 4)
    made = gift("alice", 4)

    codes.cancel(made.pk, user=User("alice"), origin=Origin("user"), now=datetime.now(UTC))

    assert left(granted) == [10]


def test_a_refund_without_a_usage_never_expires() -> None:
    granted = give("alice", 10, expires_at=SOON)
    spend("alice", 10)

    ledger.refund("alice", Decimal(5), memo=MEMO, origin=SYSTEM)

    assert left(granted) == [0]
    assert row().next_expiry is None


def test_an_expired_grant_cannot_be_reversed_and_its_expiry_can() -> None:
    granted = give("alice", 10, expires_at=SOON)
    list(credit_expiry.expire_due(now=AFTER, limit=10))

    with pytest.raises(ExceedsOriginal):
        ledger.reverse(granted.transaction.pk, memo=MEMO, origin=SYSTEM)
    expiry = Transaction.objects.get(type="expiry")
    ledger.reverse(expiry.pk, memo=MEMO, origin=SYSTEM)

    assert row().posted == 10
    assert row().next_expiry is None


# Batches


def test_a_batch_takes_from_lots_as_single_spends_do() -> None:
    for user_id in ("alice", "bob"):
        give(user_id, 5, expires_at=SOON)
        give(user_id, 5, expires_at=LATER)
        give(user_id, 5)
    amounts = [Decimal(3), Decimal(4), Decimal(100), Decimal(5)]

    done = spend_batches.spend_all(
        [Spend(user, amount, MEMO) for amount in amounts for user in ("alice", "carol")],
        origin=SYSTEM,
    )
    for amount in amounts:
        try:
            ledger.spend("bob", amount, memo=MEMO, origin=SYSTEM)
        except InsufficientCredits:
            continue

    assert [type(one) for one in done[::2]] == [Spent, Spent, InsufficientCredits, Spent]
    assert state("alice") == state("bob")
    assert state("alice")[0] == [(0, 0), (0, 0)]


def state(user_id: str) -> tuple[Any, ...]:
    lots = CreditLot.objects.filter(user_id=user_id).order_by("expires_at")
    numbers = dict(Transaction.objects.filter(user_id=user_id).values_list("pk", "number"))
    uses = LotUse.objects.filter(user_id=user_id)
    balance = row(user_id)
    return (
        [(one.remaining, one.expired) for one in lots],
        sorted((numbers[use.taker_id], numbers[use.lot_id], use.taken) for use in uses),
        (balance.posted, balance.total_earned, balance.total_spent, balance.next_expiry),
        entries(user_id),
    )


def test_a_batch_expires_what_is_due_first() -> None:
    give("alice", 5, expires_at=SOON)
    give("alice", 5)
    give("bob", 5, expires_at=LATER)

    done = spend_batches.spend_all(
        [
            Spend("alice", Decimal(6), MEMO),
            Spend("alice", Decimal(2), MEMO),
            Spend("bob", Decimal(2), MEMO),
        ],
        origin=at(AFTER),
    )

    assert isinstance(done[0], InsufficientCredits)
    assert done[0].details == {"required": 6, "available": 5}
    assert entries() == [("grant", 5), ("grant", 5), ("expiry", -5), ("usage", -2)]
    assert entries("bob") == [("grant", 5), ("usage", -2)]


# Prices by units


def test_a_commit_above_its_hold_does_not_take_what_has_expired() -> None:
    meter(inputTokens="1")
    give("alice", 5)
    most = Priced("ai_chat_gpt4", None, {"inputTokens": 5000})
    week = timedelta(days=7)
    held = reservations.reserve("alice", most, reason="chat", origin=at(NOW), ttl=week)
    give("alice", 10, expires_at=SOON)

    settled = reservations.commit(
        held.reservation.pk, origin=at(AFTER), units={"inputTokens": 9000}
    )

    assert entries() == [("grant", 5), ("grant", 10), ("expiry", -10), ("usage", -5)]
    assert settled.unpaid == 4


def test_a_commit_above_its_hold_takes_the_excess_from_its_lots_too() -> None:
    meter(inputTokens="1")
    granted = give("alice", 10, expires_at=SOON)
    most = Priced("ai_chat_gpt4", None, {"inputTokens": 4000})
    held = reservations.reserve("alice", most, reason="chat", origin=at(NOW))

    reservations.commit(held.reservation.pk, origin=at(NOW), units={"inputTokens": 7000})

    assert left(granted) == [3]
    assert float(LotUse.objects.get(lot_id=granted.transaction.pk).taken) == 7


@pytest.mark.slow
def test_credits_that_expire_during_a_commit_above_its_hold_stay_unpaid() -> None:
    meter(inputTokens="1")
    give("alice", 5)
    wish("alice", monthly_limit=1000)
    most = Priced("ai_chat_gpt4", None, {"inputTokens": 5000})
    held = reservations.reserve("alice", most, reason="chat", origin=SYSTEM)
    give("alice", 10, expires_at=datetime.now(UTC) + timedelta(seconds=1))
    with as_owner(), connection.cursor() as cursor:
        # The limits are read after the available credits and before the posting.
        cursor.execute(
            """
            ALTER FUNCTION credits.month_spending RENAME TO spending_of_the_month;
            CREATE FUNCTION credits.month_spending(p_user_id text, p_at timestamptz)
            RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_sleep(1.1);
                RETURN credits.spending_of_the_month(p_user_id, p_at);
            END $$
            """
        )

    settled = reservations.commit(held.reservation.pk, origin=SYSTEM, units={"inputTokens": 9000})

    assert entries() == [("grant", 5), ("grant", 10), ("expiry", -10), ("usage", -5)]
    assert settled.unpaid == 4


def test_a_balance_that_is_erased_between_two_reads_is_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "_balance", lambda user: Balance(user_id=user, next_expiry=SOON))

    assert ledger.balance_of("alice").posted == 0
