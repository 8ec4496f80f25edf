"""A later import of users who were granted credits that expire since an earlier one."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from credits.ledger import books, ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, CreditLot, LotUse, Reservation, Transaction
from tests.factories import give
from tests.importing import run
from tests.legacy import Earlier
from tests.owner import as_owner

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("committed", "owner")]

SOON = datetime.now(UTC) + timedelta(days=3)


@pytest.fixture
def imported(source: str, earlier: Earlier, report: Path) -> Callable[[Callable[[], object]], None]:
    """Import 100 credits of alice, run the body of a test, and import twice again."""

    def imported(meanwhile: Callable[[], object]) -> None:
        earlier.grant("alice", 100)
        earlier.flush(source)
        assert run(source, "--apply", report=report) == 0
        meanwhile()
        earlier.flush(source)
        assert run(source, "--apply", report=report) == 0
        once = state()
        assert run(source, "--apply", report=report) == 0
        assert state() == once
        assert books.check(["alice"]) == []

    return imported


def state() -> tuple[Any, ...]:
    balance = Balance.objects.get(pk="alice")
    lots = CreditLot.objects.order_by("expires_at", "pk")
    return (
        (balance.posted, balance.held, balance.last_number, balance.next_expiry),
        list(lots.values_list("remaining", "repaid", "expired")),
        sorted(LotUse.objects.values_list("taker_id", "lot_id", "taken", "given_back")),
    )


def left() -> list[int]:
    return [int(one.remaining) for one in CreditLot.objects.order_by("expires_at")]


def test_an_imported_usage_takes_what_expires_first(earlier: Earlier, imported: Any) -> None:
    def meanwhile() -> None:
        give("alice", 10, expires_at=SOON)
        give("alice", 50, expires_at=SOON + timedelta(days=1))
        earlier.use("alice", 30)

    imported(meanwhile)

    assert left() == [0, 30]


def test_an_imported_usage_does_not_take_what_has_expired(earlier: Earlier, imported: Any) -> None:
    def meanwhile() -> None:
        give("alice", 10, expires_at=SOON)
        with as_owner():
            CreditLot.objects.update(expires_at=datetime.now(UTC))
            Balance.objects.update(next_expiry=datetime.now(UTC))
        earlier.use("alice", 30)

    imported(meanwhile)

    assert [one.type for one in Transaction.objects.order_by("number")] == [
        "grant",
        "grant",
        "expiry",
        "usage",
    ]
    assert Balance.objects.get().posted == 70


def test_an_imported_gift_takes_credits_that_expire_last(earlier: Earlier, imported: Any) -> None:
    def meanwhile() -> None:
        give("alice", 10, expires_at=SOON)
        ledger.spend("alice", Decimal(5), memo=Memo("chat"), origin=Origin("user"))
        ledger.adjust("alice", Decimal(-60), memo=Memo(), origin=Origin("operator:o"))
        ledger.adjust("alice", Decimal(30), memo=Memo(), origin=Origin("operator:o"))
        give("alice", 20, expires_at=SOON + timedelta(days=1))
        earlier.gift("alice", 40)
        earlier.gift("alice", 45)

    imported(meanwhile)

    assert (left(), Balance.objects.get().posted) == ([0, 10], 10)


@pytest.mark.parametrize("settle", ["commit", "let_go"])
def test_an_imported_hold_takes_from_lots_and_settles_with_them(
    source: str, earlier: Earlier, report: Path, imported: Any, settle: str
) -> None:
    holds = []

    def meanwhile() -> None:
        give("alice", 40, expires_at=SOON)
        holds.append(earlier.reserve("alice", 30))

    imported(meanwhile)
    assert left() == [10]
    assert Reservation.objects.get().has_lots

    getattr(earlier, settle)(holds[0])
    earlier.flush(source)
    assert run(source, "--apply", report=report) == 0

    assert left() == [10 if settle == "commit" else 40]
    takers = set(LotUse.objects.values_list("taker_id", flat=True))
    usages = set(Transaction.objects.filter(type="usage").values_list("pk", flat=True))
    assert takers == usages


@pytest.mark.parametrize("seed", range(4))
def test_any_history_beside_lots_keeps_the_books(
    source: str, earlier: Earlier, report: Path, seed: int
) -> None:
    chance = random.Random(seed)
    users = ["alice", "bob"]
    holds: list[Any] = []
    for user in users:
        earlier.grant(user, 300)
    for _ in range(3):
        earlier.flush(source)
        assert run(source, "--apply", report=report) == 0
        assert books.check(users) == []
        for _ in range(8):
            act_here(chance, chance.choice(users))
            act_there(chance, earlier, chance.choice(users), holds)


def act_here(chance: random.Random, user: str) -> None:
    amount, hours = chance.randint(1, 40), chance.randint(1, 900)
    match chance.choice(["lot", "lot", "spend", "reserve", "take"]):
        case "lot":
            give(user, amount, expires_at=datetime.now(UTC) + timedelta(hours=hours))
        case "spend" if ledger.balance_of(user).available >= amount:
            ledger.spend(user, Decimal(amount), memo=Memo("chat"), origin=Origin("user"))
        case "reserve" if ledger.balance_of(user).available >= amount:
            reservations.reserve(user, Decimal(amount), reason="chat", origin=Origin("service"))
        case "take":
            ledger.adjust(user, Decimal(-3 * amount), memo=Memo(), origin=Origin("operator:o"))


def act_there(chance: random.Random, earlier: Earlier, user: str, holds: list[Any]) -> None:
    amount = chance.randint(1, 30)
    match chance.choice(["use", "use", "grant", "gift", "reserve", "commit", "let_go"]):
        case "commit" | "let_go" as settle:
            if holds:
                getattr(earlier, settle)(holds.pop(chance.randrange(len(holds))))
        case "reserve":
            holds.append(earlier.reserve(user, amount))
        case verb:
            getattr(earlier, verb)(user, amount)
