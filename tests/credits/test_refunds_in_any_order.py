"""The money of a purchase whose credits expire goes back, before, between and after other acts."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from credits.ledger import books, ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, Purchase, Transaction
from credits.payments import money_back
from tests.credits.test_expiring_purchases import NOW, pay, reach_the_date, started
from tests.credits.test_money_back import went_back
from tests.factories import give, package

pytestmark = pytest.mark.django_db

SYSTEM = Origin("system")


class History:
    """A user with 1,000 credits that never expire, and 400 bought ones that do."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        give("alice", 1000)
        offer = package(credits=400, price_euro_cents=400, expires_after_days=30)
        self.purchase: Purchase = pay(started(offer))
        self.cents = 400
        self.spent: list[tuple[UUID, Decimal]] = []
        self.holds: list[UUID] = []

    def spend(self) -> None:
        amount = Decimal(self.chance.randint(1, 250))
        if ledger.balance_of("alice").available >= amount:
            entry = ledger.spend("alice", amount, memo=Memo("chat"), origin=SYSTEM).transaction
            self.spent.append((entry.pk, amount))

    def give_back(self) -> None:
        if self.spent:
            usage, amount = self.spent.pop(self.chance.randrange(len(self.spent)))
            ledger.refund("alice", amount, memo=Memo(), origin=SYSTEM, usage_id=usage)

    def hold(self) -> None:
        amount = Decimal(self.chance.randint(1, 150))
        if ledger.balance_of("alice").available >= amount:
            held = reservations.reserve("alice", amount, reason="chat", origin=SYSTEM)
            self.holds.append(held.reservation.pk)

    def settle(self) -> None:
        if self.holds:
            held = self.holds.pop()
            if self.chance.random() < 0.5:
                reservations.release(held, origin=SYSTEM)
                return
            entry = reservations.commit(held, origin=SYSTEM).reservation.transaction
            assert entry is not None
            self.spent.append((entry.pk, -entry.amount))

    def refund_money(self) -> None:
        cents = min(self.cents, self.chance.randint(1, 250))
        if cents:
            self.cents -= cents
            money_back.record(went_back(self.purchase, cents), now=NOW)

    def fail_a_refund(self) -> None:
        """Refund a part and learn that the refund failed."""
        if self.cents:
            cents = self.chance.randint(1, self.cents)
            name = f"re_{self.chance.random()}"
            gone = went_back(self.purchase, cents, stripe_id=name)
            money_back.record(gone, now=NOW)
            failed = gone._replace(state="returned", status="failed")
            money_back.record(failed, now=NOW)

    def reach_the_date(self) -> None:
        reach_the_date(datetime.now(UTC) - timedelta(milliseconds=1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_the_balance_does_not_depend_on_the_order(seed: int) -> None:
    history = History(seed)
    acts = [
        history.spend,
        history.give_back,
        history.hold,
        history.settle,
        history.refund_money,
        history.fail_a_refund,
        history.reach_the_date,
    ]
    for _ in range(25):
        history.chance.choice(acts)()
        assert books.check(["alice"]) == []
    history.reach_the_date()
    while history.holds:
        history.settle()
    while history.cents:
        history.refund_money()

    net = sum(amount for _, amount in history.spent)
    ledger.ensure_balance("alice", origin=SYSTEM)
    assert Balance.objects.get().posted == 1000 - net
    assert books.check(["alice"]) == []
    taken = sum(one.taken for one in money_back.of_purchase(history.purchase))
    expired = -sum(one.amount for one in Transaction.objects.filter(type="expiry"))
    assert taken + expired == 400
