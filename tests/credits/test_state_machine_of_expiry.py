"""Credits that expire, moved in random order, against a small model of lots."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from credits.errors import DomainError
from credits.ledger import (
    books,
    credit_expiry,
    credit_lots,
    ledger,
    reservation_expiry,
    reservations,
    spend_batches,
)
from credits.ledger.posting import Memo, Origin, Priced
from credits.ledger.spend_batches import Spend
from credits.models import Balance, CreditLot, Transaction
from tests.factories import meter
from tests.quick import at_most

ZERO = Decimal(0)
AMOUNTS = st.decimals("0.0001", "30", places=4).filter(bool)
GRANTS = st.decimals("1", "60", places=4)
UNITS = st.integers(1, 20_000)
DEEPEST_DEBT = Decimal(-20)
PICKS = st.integers(0, 5)
HOURS = st.integers(1, 12)
# Far ahead of the clock: credits that have expired by the clock expire at any movement.
START = datetime(2040, 1, 31, 12, tzinfo=UTC)


@dataclass
class Lot:
    """A lot of the model."""

    id: UUID
    expires: datetime
    amount: Decimal = ZERO
    undone: Decimal = ZERO  # what reversals and claw-backs of its transaction took
    remaining: Decimal = ZERO
    repaid: Decimal = ZERO
    expired: Decimal = ZERO

    @property
    def rank(self) -> tuple[datetime, UUID]:
        return self.expires, self.id


# What a spend or a hold has taken, in order: from lots, then from what never expires (no lot).
Pieces = list[tuple[Lot | None, Decimal]]


@dataclass
class Entry:
    """A transaction of the model that can be given back, and what it has taken."""

    id: UUID
    type: str
    amount: Decimal
    pieces: Pieces = field(default_factory=list)
    returned: Decimal = ZERO
    lot: Lot | None = None  # of a claw-back: that of its purchase


@dataclass
class Held:
    """An open reservation of the model."""

    id: UUID
    amount: Decimal
    expires: datetime
    pieces: Pieces
    units: int = 0


@dataclass
class Account:
    """A user with lots."""

    posted: Decimal = ZERO
    held: Decimal = ZERO
    lots: list[Lot] = field(default_factory=list)
    log: list[tuple[str, Decimal]] = field(default_factory=list)

    @property
    def available(self) -> Decimal:
        return self.posted - self.held

    def post(self, kind: str, amount: Decimal) -> None:
        self.posted += amount
        self.log.append((kind, amount))

    def expire(self, now: datetime) -> None:
        for lot in sorted(self.lots, key=lambda one: one.rank):
            if lot.remaining and lot.expires <= now:
                self.post("expiry", -lot.remaining)
                lot.expired += lot.remaining
                lot.remaining = ZERO

    def take(self, amount: Decimal, *, first: UUID | None = None) -> Pieces:
        pieces: Pieces = []
        for lot in sorted(self.lots, key=lambda one: (one.id != first, one.rank)):
            part = min(amount, lot.remaining)
            if part:
                lot.remaining -= part
                amount -= part
                pieces.append((lot, part))
        return [*pieces, (None, amount)]

    def fill(self, lot: Lot, amount: Decimal) -> None:
        room = max(self.available, ZERO) - sum((one.remaining for one in self.lots), ZERO)
        not_undone = lot.amount - lot.remaining - lot.expired - lot.undone
        kept = max(min(amount, room, not_undone), ZERO)
        lot.remaining += kept
        lot.repaid += amount - kept

    def give_back(self, pieces: Pieces, amount: Decimal) -> Pieces:
        """Give `amount` of the pieces back, the last piece first. Return what is left of them."""
        left = list(pieces)
        while amount:
            lot, part = left.pop()
            back = min(amount, part)
            amount -= back
            if lot and back:
                self.fill(lot, back)
            if back < part:
                left.append((lot, part - back))
        return left

    def joined(self, one: Pieces, other: Pieces) -> Pieces:
        """Return the pieces of both, in the order in which a single spend would take them."""
        parts: dict[UUID | None, tuple[Lot | None, Decimal]] = {}
        for lot, part in [*one, *other]:
            key = lot.id if lot else None
            parts[key] = (lot, part + parts.get(key, (lot, ZERO))[1])
        never = parts.pop(None, (None, ZERO))
        return [*sorted(parts.values(), key=lambda piece: piece[0].rank), never]  # type: ignore[union-attr]

    def first_expiry(self) -> datetime | None:
        return min((lot.expires for lot in self.lots if lot.remaining), default=None)


class Lots(RuleBasedStateMachine):
    """Runs the ledger and the model of lots side by side."""

    @initialize()
    def start(self) -> None:
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.user = f"user-{uuid4()}"
        self.account = Account()
        self.entries: list[Entry] = []
        self.open: list[Held] = []
        self.now = START
        self.bought: list[tuple[UUID, Lot]] = []
        meter(inputTokens="1")
        # Without credits, nearly every rule is refused.
        self.grant(Decimal(40), None)
        self.grant(Decimal(30), 2)
        self.grant(Decimal(30), 9)

    def teardown(self) -> None:
        """Roll back, so that examples are independent."""
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    def origin(self) -> Origin:
        return Origin("service:test", at=self.now)

    def call(self, act: Any, *arguments: Any, **options: Any) -> Any:
        """Post what is due in the model, and call `act`. Return its result, or the error's code."""
        self.account.expire(self.now)
        try:
            return act(*arguments, origin=self.origin(), **options)
        except DomainError as error:
            return error.code

    def took(self, posting: Any, *, first: UUID | None = None) -> None:
        """Record a posted transaction that has taken credits."""
        entry = posting.transaction
        self.account.post(entry.type, entry.amount)
        pieces = self.account.take(-entry.amount, first=first)
        self.entries.append(Entry(entry.pk, entry.type, entry.amount, pieces))

    def gave_back(self, posting: Any, original: Entry) -> None:
        """Record a posted transaction that has given credits back."""
        entry = posting.transaction
        self.account.post(entry.type, entry.amount)
        original.returned += entry.amount
        if original.lot:
            original.lot.undone -= entry.amount
        original.pieces = self.account.give_back(original.pieces, entry.amount)
        self.account.expire(self.now)
        self.entries.append(Entry(entry.pk, entry.type, entry.amount))

    def pick(self, number: int, *types: str) -> Entry | None:
        some = [entry for entry in self.entries if entry.type in types]
        return some[-1 - number % len(some)] if some else None

    @rule(amount=GRANTS, hours=st.one_of(st.none(), HOURS))
    def grant(self, amount: Decimal, hours: int | None) -> None:
        expires = None if hours is None else self.now + timedelta(hours=hours)
        posting = self.call(
            ledger.grant,
            self.user,
            amount,
            memo=Memo(),
            cause=f"grant:{uuid4()}",
            expires_at=expires,
        )
        self.account.post("grant", amount)
        self.entries.append(Entry(posting.transaction.pk, "grant", amount))
        if expires:
            self.open_lot(posting.transaction.pk, expires, amount)

    def open_lot(self, entry: UUID, expires: datetime, amount: Decimal) -> Lot:
        lot = Lot(entry, expires, amount)
        self.account.lots.append(lot)
        self.account.fill(lot, amount)
        return lot

    @rule(amount=GRANTS, hours=HOURS)
    def buy(self, amount: Decimal, hours: int) -> None:
        purchase, expires = uuid4(), self.now + timedelta(hours=hours)
        posting = self.call(
            ledger.credit_purchase,
            self.user,
            amount,
            memo=Memo("stripe"),
            purchase_id=purchase,
            expires_at=expires,
        )
        self.account.post("purchase", amount)
        lot = self.open_lot(posting.transaction.pk, expires, amount)
        self.bought.append((purchase, lot))

    @rule(number=PICKS, share=st.sampled_from(["0.25", "0.5", "1"]))
    def claw_back_a_purchase(self, number: int, share: str) -> None:
        """Take a part of a purchase that is left of it after its expiries and claw-backs."""
        if not self.bought or self.account.available < DEEPEST_DEBT:
            return
        purchase, lot = self.bought[-1 - number % len(self.bought)]
        ledger.ensure_balance(self.user, origin=self.origin())
        self.account.expire(self.now)
        amount = round((lot.amount - lot.expired - lot.undone) * Decimal(share), 4)
        if amount > 0:
            memo, cause = Memo(metadata={"purchaseId": str(purchase)}), f"refund:{uuid4()}"
            posting = self.call(ledger.claw_back, self.user, amount, memo=memo, cause=cause)
            self.took(posting, first=lot.id)
            self.entries[-1].lot = lot
            lot.undone += amount

    @rule(amount=AMOUNTS)
    def spend(self, amount: Decimal) -> None:
        posting = self.call(ledger.spend, self.user, amount, memo=Memo("chat"))
        if amount > self.account.available:
            assert posting == "insufficient_credits"
        else:
            self.took(posting)

    @rule(wanted=st.lists(AMOUNTS | UNITS, min_size=1, max_size=4))
    def spend_in_a_batch(self, wanted: list[Decimal | int]) -> None:
        """Spend amounts, and prices of units, in one call."""
        prices = [
            Priced("ai_chat_gpt4", None, {"inputTokens": one}) if isinstance(one, int) else one
            for one in wanted
        ]
        items = [Spend(self.user, price, Memo("chat")) for price in prices]
        amounts = [Decimal(one) / 1000 if isinstance(one, int) else one for one in wanted]
        for amount, posting in zip(amounts, self.call(spend_batches.spend_all, items), strict=True):
            if amount > self.account.available:
                assert posting.code == "insufficient_credits"
            else:
                self.took(posting)
                assert posting.balance.posted == self.account.posted

    @rule(units=UNITS)
    def use_units(self, units: int) -> None:
        """Spend the price of units. A thousand cost one credit."""
        priced, amount = Priced("ai_chat_gpt4", None, {"inputTokens": units}), Decimal(units) / 1000
        posting = self.call(ledger.spend, self.user, priced, memo=Memo("chat"))
        if amount > self.account.available:
            assert posting == "insufficient_credits"
        else:
            self.took(posting)

    @rule(amount=AMOUNTS, sign=st.sampled_from([1, -1]))
    def adjust(self, amount: Decimal, sign: int) -> None:
        if self.account.available < DEEPEST_DEBT:
            sign = 1
        posting = self.call(ledger.adjust, self.user, sign * amount, memo=Memo())
        if sign < 0:
            self.took(posting)
        else:
            self.account.post("adjustment", amount)
            self.entries.append(Entry(posting.transaction.pk, "adjustment", amount))

    @rule(amount=AMOUNTS)
    def claw_back(self, amount: Decimal) -> None:
        if self.account.available < DEEPEST_DEBT:
            return
        cause = f"dispute:{uuid4()}"
        ledger.ensure_balance(self.user, origin=self.origin())
        self.took(self.call(ledger.claw_back, self.user, amount, memo=Memo(), cause=cause))

    @rule(number=PICKS)
    def reinstate(self, number: int) -> None:
        original = self.pick(number, "clawback")
        if original and not original.returned:
            self.gave_back(self.call(ledger.reinstate, original.id, memo=Memo()), original)

    @rule(number=PICKS, share=st.sampled_from(["0.0001", "0.5", "1"]))
    def refund(self, number: int, share: str) -> None:
        original = self.pick(number, "usage")
        if original is None:
            return
        amount = max(round(-original.amount * Decimal(share), 4), Decimal("0.0001"))
        posting = self.call(ledger.refund, self.user, amount, memo=Memo(), usage_id=original.id)
        if original.returned + amount > -original.amount:
            assert posting == "exceeds_original"
        else:
            self.gave_back(posting, original)

    @rule(number=PICKS)
    def reverse(self, number: int) -> None:
        original = self.pick(number, "usage", "grant", "refund", "adjustment")
        if original is None:
            return
        posting = self.call(ledger.reverse, original.id, memo=Memo())
        lots = [lot for lot in self.account.lots if lot.id == original.id]
        if original.returned or any(lot.expired for lot in lots):
            assert posting == "exceeds_original" or posting.replayed
        elif original.amount < 0:
            self.gave_back(posting, original)
        else:
            self.took(posting, first=original.id)
            original.returned = original.amount
            for lot in lots:
                lot.undone += original.amount

    @rule(amount=AMOUNTS, hours=HOURS)
    def reserve(self, amount: Decimal, hours: int) -> None:
        ttl = timedelta(hours=hours)
        hold = self.call(reservations.reserve, self.user, amount, reason="chat", ttl=ttl)
        if amount > self.account.available:
            assert hold == "insufficient_credits"
            return
        self.account.held += amount
        pieces = self.account.take(amount)
        self.open.append(Held(hold.reservation.pk, amount, self.now + ttl, pieces))

    @rule(units=UNITS, hours=HOURS)
    def reserve_units(self, units: int, hours: int) -> None:
        """Hold the price of units. A thousand cost one credit."""
        ttl, amount = timedelta(hours=hours), Decimal(units) / 1000
        most = Priced("ai_chat_gpt4", None, {"inputTokens": units})
        hold = self.call(reservations.reserve, self.user, most, reason="chat", ttl=ttl)
        if amount > self.account.available:
            assert hold == "insufficient_credits"
            return
        self.account.held += amount
        pieces = self.account.take(amount)
        self.open.append(Held(hold.reservation.pk, amount, self.now + ttl, pieces, units))

    @rule(number=PICKS, share=st.sampled_from(["0.0001", "0.5", "1"]))
    def commit(self, number: int, share: str) -> None:
        if not self.open:
            return
        held = self.open.pop(-1 - number % len(self.open))
        if held.units:
            self.commit_units(held, max(int(held.units * Decimal(share) * 2), 1))
            return
        amount = max(round(held.amount * Decimal(share), 4), Decimal("0.0001"))
        hold = self.call(reservations.commit, held.id, amount=amount)
        self.account.held -= held.amount
        if held.expires <= self.now:
            assert hold == "reservation_expired"
            self.account.give_back(held.pieces, held.amount)
        else:
            self.account.post("usage", -amount)
            left = self.account.give_back(held.pieces, held.amount - amount)
            entry = hold.reservation.transaction
            self.entries.append(Entry(entry.pk, "usage", -amount, left))
        self.account.expire(self.now)

    def commit_units(self, held: Held, units: int) -> None:
        """Commit what was really used: up to twice the hold, as far as credits are available."""
        hold = self.call(reservations.commit, held.id, units={"inputTokens": units})
        if held.expires <= self.now:
            assert hold == "reservation_expired"
            self.released(held)
            return
        excess = min(Decimal(units) / 1000 - held.amount, max(self.account.available, ZERO))
        self.account.held -= held.amount
        self.account.post("usage", -(held.amount + excess))
        if excess > 0:
            pieces = self.account.joined(self.account.take(excess), held.pieces)
        else:
            pieces = self.account.give_back(held.pieces, -excess)
        entry = hold.reservation.transaction
        self.entries.append(Entry(entry.pk, "usage", entry.amount, pieces))
        self.account.expire(self.now)

    @rule(number=PICKS)
    def release(self, number: int) -> None:
        if self.open:
            held = self.open.pop(-1 - number % len(self.open))
            self.call(reservations.release, held.id)
            self.released(held)

    def released(self, held: Held) -> None:
        self.account.held -= held.amount
        self.account.give_back(held.pieces, held.amount)
        self.account.expire(self.now)

    @rule(hours=HOURS)
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(hours=HOURS)
    def time_passes_and_the_jobs_run(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        list(credit_expiry.expire_due(now=self.now, limit=10_000))
        self.account.expire(self.now)
        assert (self.account.first_expiry() or self.now + timedelta(1)) > self.now
        due = [held for held in self.open if held.expires <= self.now]
        list(reservation_expiry.expire_due(now=self.now, limit=10_000))
        for held in sorted(due, key=lambda one: (one.expires, one.id)):
            self.open.remove(held)
            self.released(held)

    @invariant()
    def the_books_close_and_say_what_the_model_says(self) -> None:
        found = books.check([self.user])
        # The purchases are in the ledger only, without their rows.
        assert [one for one in found if one.rule != "a paid purchase has exactly its credits"] == []
        balance = Balance.objects.get(pk=self.user)
        assert (balance.posted, balance.held) == (self.account.posted, self.account.held)
        assert balance.next_expiry == self.account.first_expiry()
        rows = Transaction.objects.filter(user_id=self.user).order_by("number")
        assert list(rows.values_list("type", "amount")) == self.account.log
        lots = CreditLot.objects.filter(user_id=self.user).order_by("expires_at", "pk")
        parts = ("remaining", "repaid", "expired")
        assert list(lots.values_list(*parts)) == [
            tuple(getattr(lot, part) for part in parts)
            for lot in sorted(self.account.lots, key=lambda one: one.rank)
        ]

    @invariant()
    def a_reading_shows_nothing_that_has_expired(self) -> None:
        balance = credit_lots.balance_at(self.user, now=self.now)
        assert balance is not None
        left = [lot for lot in self.account.lots if lot.remaining]
        due = sum((lot.remaining for lot in left if lot.expires <= self.now), ZERO)
        assert balance.available == self.account.available - due
        later = sum((lot.remaining for lot in left if lot.expires > self.now), ZERO)
        assert sum((one.amount for one in balance.expiring), ZERO) == later
        assert [one.at for one in balance.expiring] == sorted(
            {lot.expires for lot in left if lot.expires > self.now}
        )


@pytest.mark.slow
@pytest.mark.django_db
def test_any_order_of_verbs_keeps_the_lots() -> None:
    run_state_machine_as_test(
        Lots,
        settings=settings(
            max_examples=at_most(40),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
