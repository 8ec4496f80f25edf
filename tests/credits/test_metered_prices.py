"""An operation may be priced by units such as tokens; the database computes the price exactly."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from credits.amounts import InvalidAmount
from credits.catalogue import catalogue
from credits.catalogue.catalogue import OperationUnknown, Price
from credits.catalogue.metered_prices import (
    InvalidUnitCosts,
    InvalidUnits,
    MeteredPrice,
    OperationNotMetered,
    UnitsRequired,
    UnknownUnit,
)
from credits.errors import DomainError
from credits.ledger import ledger, reservations
from credits.ledger.outcomes import IdempotencyKeyReused, InsufficientCredits, SpendingLimitReached
from credits.ledger.posting import Memo, Origin, Posting, Priced
from credits.ledger.reservations import Hold, ReservationCommitted
from credits.models import (
    Balance,
    Operation,
    OperationPrice,
    Reservation,
    SpendingLimit,
    Transaction,
)
from tests.factories import give, hold, meter, spend, wish
from tests.round_trips import statements

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OPERATION = "ai_chat_gpt4"
SERVICE = Origin("service")


def use(origin: Origin = SERVICE, operation: str = OPERATION, **units: int) -> Posting:
    return ledger.spend(
        "alice", Priced(operation, None, units), memo=Memo("chat", "An answer"), origin=origin
    )


def reserve(origin: Origin = SERVICE, **units: int) -> Reservation:
    return reservations.reserve(
        "alice", Priced(OPERATION, None, units), reason="chat:answer", origin=origin
    ).reservation


def commit(reservation: Reservation, key: str | None = None, **units: int) -> Hold:
    return reservations.commit(
        reservation.pk, origin=Origin("service", key=key), units=units or None
    )


def refused(act: Any, *arguments: Any, **units: Any) -> type[DomainError]:
    before = list(Balance.objects.values())
    with pytest.raises(DomainError) as error:
        act(*arguments, **units)
    assert list(Balance.objects.values()) == before
    return error.type


def balance() -> tuple[Decimal, Decimal]:
    row = Balance.objects.get(pk="alice")
    return row.posted, row.held


@pytest.mark.parametrize(
    ("units", "amount"),
    [
        ({"inputTokens": 1000}, "0.4"),
        ({"inputTokens": 1000, "outputTokens": 500}, "1.0"),
        ({"inputTokens": 1, "outputTokens": 0}, "0.0004"),
        ({"inputTokens": 0, "outputTokens": 1}, "0.0012"),
        ({"inputTokens": 333, "outputTokens": 77}, "0.2256"),
        ({"outputTokens": 0}, "0.0001"),
    ],
)
def test_units_cost_their_price_per_1000(units: dict[str, int], amount: str) -> None:
    give("alice", 10)
    meter()

    entry = use(SERVICE, OPERATION, **units).transaction

    assert entry.amount == -Decimal(amount)
    assert (entry.operation, entry.unit_cost, entry.quantity) == (OPERATION, None, None)
    assert entry.metering == {
        "units": units,
        "unitCosts": {"inputTokens": "0.4", "outputTokens": "1.2"},
        "minimum": None,
        "mayOverdraw": False,
        "version": 2,
    }


@pytest.mark.parametrize(
    ("cost", "amount"),
    [("0.41", "0.0005"), ("0.4", "0.0004"), ("0.40000001", "0.0005"), ("0.00000001", "0.0001")],
)
def test_a_fraction_of_a_step_is_rounded_up(cost: str, amount: str) -> None:
    give("alice", 1)
    meter(inputTokens=cost)

    assert use(inputTokens=1).transaction.amount == -Decimal(amount)


def test_the_sum_is_rounded_up_once() -> None:
    give("alice", 1)
    meter(inputTokens="0.03333333", outputTokens="0.03333333", cachedTokens="0.03333333")

    entry = use(inputTokens=1, outputTokens=1, cachedTokens=1).transaction

    # 0.00009999999: each part rounded up would give 0.0003.
    assert entry.amount == Decimal("-0.0001")


def test_an_exact_price_is_not_rounded() -> None:
    give("alice", 10**9)
    meter(inputTokens="0.00000001", outputTokens="999999.99999999")

    entry = use(inputTokens=10**12, outputTokens=1000).transaction

    assert entry.amount == -Decimal("1000009.9999") - Decimal("0.0001")


@pytest.mark.parametrize(("tokens", "amount"), [(0, "0.5"), (1250, "0.5"), (1251, "0.5004")])
def test_a_use_costs_at_least_the_minimum(tokens: int, amount: str) -> None:
    give("alice", 10)
    meter(minimum="0.5")

    entry = use(inputTokens=tokens).transaction

    assert entry.amount == -Decimal(amount)


def test_units_are_refused_without_moving_anything() -> None:
    give("alice", 10)
    meter()
    plain, unmetered = Priced(OPERATION), {"operation": "pdf_export"}

    assert (
        refused(ledger.spend, "alice", plain, memo=Memo(), origin=Origin("user")) == UnitsRequired
    )
    assert refused(use, **unmetered, pages=1) == OperationNotMetered
    assert refused(use, operation="teleport", metres=1) == OperationUnknown
    assert refused(use, inputTokens=1, imageTokens=1) == UnknownUnit
    assert refused(use) == InvalidUnits
    assert refused(use, inputTokens=-1) == InvalidUnits
    assert refused(use, inputTokens=10**12 + 1) == InvalidUnits
    assert refused(use, input_tokens=1) == InvalidUnits
    assert refused(use, **{f"u{n}": 1 for n in range(17)}) == InvalidUnits
    assert refused(reserve, imageTokens=1) == UnknownUnit
    assert refused(reserve) == InvalidUnits
    assert Transaction.objects.filter(type="usage").count() == 0
    assert Reservation.objects.count() == 0


def test_a_hold_is_refused_like_a_use() -> None:
    give("alice", 10)
    meter()

    def held(amount: Priced) -> type[DomainError]:
        return refused(reservations.reserve, "alice", amount, reason="chat", origin=Origin("user"))

    assert held(Priced(OPERATION)) == UnitsRequired
    assert held(Priced("pdf_export", None, {"pages": 1})) == OperationNotMetered
    assert held(Priced("teleport", None, {"metres": 1})) == OperationUnknown
    assert held(Priced(OPERATION, None, {"outputTokens": 10_000})) == InsufficientCredits


def test_a_user_without_a_balance_gets_the_same_refusals() -> None:
    meter()

    assert refused(use, imageTokens=1) == UnknownUnit
    assert refused(use, inputTokens=1) == InsufficientCredits
    assert not Balance.objects.exists()


def test_a_metered_use_is_one_statement() -> None:
    give("alice", 10)
    meter()

    sent, _ = statements(lambda: use(inputTokens=10))

    assert sent == 1


def test_a_replay_has_the_same_units_and_ignores_the_price() -> None:
    give("alice", 10)
    meter()
    keyed = Origin("service", key="k")
    first = use(keyed, inputTokens=10, outputTokens=20)
    meter(inputTokens="7", outputTokens="7")

    again = use(keyed, outputTokens=20, inputTokens=10)

    assert again.replayed
    assert again.transaction == first.transaction
    assert refused(use, keyed, inputTokens=10, outputTokens=21) == IdempotencyKeyReused
    assert refused(use, keyed, inputTokens=10) == IdempotencyKeyReused
    catalogue.deactivate(OPERATION, actor="system", now=NOW)
    assert use(keyed, inputTokens=10, outputTokens=20).replayed


def test_units_and_a_quantity_are_different_requests() -> None:
    give("alice", 10)
    keyed = Origin("service", key="k")
    ledger.spend("alice", Priced(OPERATION), memo=Memo("chat", "x"), origin=keyed)
    meter()

    assert refused(use, keyed, inputTokens=1) == IdempotencyKeyReused


def test_every_price_is_a_version() -> None:
    meter()
    meter()
    meter(minimum="0.5")
    meter(minimum="0.5", may_overdraw=True)
    catalogue.set_price(OPERATION, Price(Decimal(2)), actor="system", now=NOW)

    operation = Operation.objects.get(pk=OPERATION)

    assert (operation.cost, operation.metering, operation.version) == (2, None, 5)
    costs = {"inputTokens": "0.4", "outputTokens": "1.2"}
    first = {"unitCosts": costs, "minimum": None, "mayOverdraw": False}
    second = {**first, "minimum": "0.5"}
    third = {**second, "mayOverdraw": True}
    history = OperationPrice.objects.filter(operation=OPERATION).order_by("version")
    assert list(history.values_list("version", "metering_before", "metering_after")) == [
        (1, None, None),
        (2, None, first),
        (3, first, second),
        (4, second, third),
        (5, third, None),
    ]
    assert list(history.values_list("cost_before", "cost_after")) == [
        (None, 5),
        (5, None),
        (None, None),
        (None, None),
        (None, 2),
    ]


def test_a_withdrawn_metered_operation_can_be_offered_again() -> None:
    meter()
    catalogue.deactivate(OPERATION, actor="system", now=NOW)

    assert refused(use, inputTokens=1) == OperationUnknown
    meter()

    operation = Operation.objects.get(pk=OPERATION)
    assert (operation.active, operation.version) == (True, 4)
    with pytest.raises(UnitsRequired):
        catalogue.price(OPERATION)


@pytest.mark.parametrize(
    "costs",
    [
        {},
        {"inputTokens": "0"},
        {"inputTokens": "-1"},
        {"inputTokens": "0.000000001"},
        {"inputTokens": "1000000"},
        {"inputTokens": "NaN"},
        {"input_tokens": "1"},
        {"a" * 65: "1"},
        {f"u{n}": "1" for n in range(17)},
    ],
)
def test_invalid_unit_costs_are_refused(costs: dict[str, str]) -> None:
    price = MeteredPrice({name: Decimal(cost) for name, cost in costs.items()})

    with pytest.raises(InvalidUnitCosts):
        catalogue.set_price(OPERATION, price, actor="system", now=NOW)


def test_cloud_sync_cannot_be_priced_by_units() -> None:
    with pytest.raises(InvalidUnitCosts, match="charged by the month"):
        meter("cloud_sync", months="5000")

    assert catalogue.price("cloud_sync") == 5


def test_a_minimum_is_an_amount_of_credits() -> None:
    with pytest.raises(InvalidAmount):
        meter(minimum="0.00001")


def test_a_hold_keeps_its_prices() -> None:
    give("alice", 10)
    meter()
    held = reserve(inputTokens=1000, outputTokens=1000)
    meter(inputTokens="100", outputTokens="100")

    settled = commit(held, inputTokens=1000, outputTokens=10)

    assert held.amount == Decimal("1.6")
    assert settled.reservation.committed_amount == Decimal("0.412")
    assert settled.reservation.metering == held.metering
    entry = Transaction.objects.get(type="usage")
    assert (entry.amount, entry.operation) == (-Decimal("0.412"), OPERATION)
    kept: Any = held.metering
    assert entry.metering == {**kept, "units": {"inputTokens": 1000, "outputTokens": 10}}
    assert settled.unpaid == 0
    assert balance() == (Decimal("9.588"), 0)


def test_a_commit_without_units_takes_the_whole_hold() -> None:
    give("alice", 10)
    meter()
    held = reserve(inputTokens=1000)

    settled = commit(held)

    entry = settled.reservation.transaction
    assert entry is not None
    assert (entry.amount, entry.metering) == (-Decimal("0.4"), held.metering)


def test_a_commit_above_its_hold_takes_available_credits() -> None:
    give("alice", 10)
    meter()
    held = reserve(inputTokens=1000)

    settled = commit(held, inputTokens=10_000)

    assert settled.reservation.committed_amount == 4
    assert settled.unpaid == 0
    assert balance() == (6, 0)


def test_a_commit_takes_no_more_than_is_available() -> None:
    give("alice", 10)
    meter()
    held = reserve(inputTokens=10_000)
    other = hold("alice", 5)

    settled = commit(held, key="k", inputTokens=30_000)

    assert settled.reservation.committed_amount == 5
    assert settled.unpaid == 7
    entry = Transaction.objects.get(type="usage")
    metering: Any = entry.metering
    assert (entry.amount, metering["unpaid"]) == (-5, "7.0000")
    assert balance() == (5, 5)
    assert commit(held, key="k", inputTokens=30_000).unpaid == 7
    reservations.release(other.pk, origin=Origin("service"))
    # The replay compares units: with the released credits, the price would be paid in full now.
    assert commit(held, inputTokens=30_000).replayed
    assert balance() == (5, 0)


def test_a_commit_without_available_credits_takes_its_hold() -> None:
    give("alice", 4)
    meter()
    held = reserve(inputTokens=10_000)
    ledger.adjust("alice", Decimal(-3), memo=Memo(), origin=Origin("system"))

    settled = commit(held, inputTokens=20_000)

    assert (settled.reservation.committed_amount, settled.unpaid) == (4, 4)
    assert balance() == (-3, 0)


def test_an_operation_may_take_the_rest_as_debt() -> None:
    give("alice", 5)
    meter(may_overdraw=True)
    held = reserve(inputTokens=10_000)

    settled = commit(held, inputTokens=30_000)

    assert (settled.reservation.committed_amount, settled.unpaid) == (12, 0)
    assert balance() == (-7, 0)
    assert refused(use, inputTokens=1) == InsufficientCredits


@pytest.mark.parametrize("may_overdraw", [False, True])
def test_the_monthly_limit_binds_what_exceeds_the_hold(may_overdraw: bool) -> None:
    give("alice", 100)
    meter(may_overdraw=may_overdraw)
    wish("alice", monthly_limit=50, app_limits={"chat": 10})
    spend("alice", 3)
    held = reserve(inputTokens=10_000)

    settled = commit(held, inputTokens=30_000)

    assert (settled.reservation.committed_amount, settled.unpaid) == (7, 5)
    assert balance() == (90, 0)
    assert SpendingLimit.objects.get(app_id="chat").reached_at is not None
    assert SpendingLimit.objects.get(app_id="").reached_at is None
    assert refused(use, inputTokens=1) == SpendingLimitReached


def test_a_lowered_limit_still_lets_the_hold_settle() -> None:
    give("alice", 100)
    meter()
    held = reserve(inputTokens=10_000)
    wish("alice", monthly_limit=1)

    settled = commit(held, inputTokens=30_000)

    assert (settled.reservation.committed_amount, settled.unpaid) == (4, 8)


def test_a_commit_within_the_limits_is_paid_in_full() -> None:
    give("alice", 100)
    meter()
    wish("alice", monthly_limit=12)
    held = reserve(inputTokens=10_000)

    settled = commit(held, inputTokens=30_000)

    assert (settled.reservation.committed_amount, settled.unpaid) == (12, 0)
    assert SpendingLimit.objects.get().reached_at is None


def test_a_repeated_commit_needs_the_same_units() -> None:
    give("alice", 10)
    meter()
    held = reserve(inputTokens=1000)
    first = commit(held, inputTokens=500)

    again = commit(held, inputTokens=500)

    assert again.replayed
    assert again.reservation.transaction == first.reservation.transaction
    assert refused(commit, held, inputTokens=501) == ReservationCommitted
    assert refused(commit, held) == ReservationCommitted
    # The amount is the same, but the request is not.
    with pytest.raises(ReservationCommitted):
        reservations.commit(held.pk, origin=Origin("service"), amount=Decimal("0.2"))


def test_a_commit_of_the_whole_hold_repeats_with_its_units() -> None:
    give("alice", 10)
    meter()
    held = reserve(inputTokens=1000)
    commit(held)

    assert commit(held).replayed
    assert commit(held, inputTokens=1000).replayed


def test_a_plain_commit_takes_no_units_and_a_metered_one_no_amount() -> None:
    give("alice", 10)
    meter()
    plain, metered = hold("alice", 1), reserve(inputTokens=1000)

    def by_amount() -> Hold:
        return reservations.commit(metered.pk, origin=Origin("service"), amount=Decimal("0.1"))

    assert refused(commit, plain, inputTokens=1) == OperationNotMetered
    assert refused(by_amount) == UnitsRequired
    assert refused(commit, metered, imageTokens=1) == UnknownUnit
    assert refused(commit, metered, inputTokens=-1) == InvalidUnits
    assert Reservation.objects.filter(status="open").count() == 2
    commit(plain)
    assert refused(commit, plain, inputTokens=1) == ReservationCommitted


def test_the_digest_covers_the_metering() -> None:
    give("alice", 10)
    meter()
    use(inputTokens=1000)

    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT t.digest = credits.transaction_digest(
                       t, g.digest, b.chain_id, credits.texts_digest(t, b.chain_salt)),
                   t.digest = credits.transaction_digest(
                       jsonb_populate_record(t, '{"metering": null}'),
                       g.digest, b.chain_id, credits.texts_digest(t, b.chain_salt))
            FROM credits.transactions t JOIN credits.balances b USING (user_id)
            JOIN credits.transactions g ON g.user_id = t.user_id AND g.number = t.number - 1
            WHERE t.metering IS NOT NULL
        """)
        (row,) = cursor.fetchall()

    assert row == (True, False)
