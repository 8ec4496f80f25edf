"""Spends, holds and commits by units among all other verbs, in random order, against a model."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from credits.catalogue import catalogue
from credits.catalogue.metered_prices import MeteredPrice
from credits.errors import DomainError
from credits.ledger import ledger, reservations, spend_batches
from credits.ledger.outcomes import IdempotencyKeyReused
from credits.ledger.posting import Memo, Priced
from credits.ledger.spend_batches import Spend
from credits.models import Reservation
from tests.credits.test_state_machine import AMOUNTS, KEYS, PICKS, USERS, ZERO, Entry, Held, Ledger
from tests.quick import at_most

OPERATION = "ai_chat_gpt4"
UNITS = st.dictionaries(
    st.sampled_from(["inputTokens", "inputTokens", "outputTokens", "imageTokens"]),
    st.integers(0, 40_000),
    min_size=1,
    max_size=2,
)
COSTS = st.decimals("0.00000001", "1", places=8).filter(bool)
PRICES = st.builds(
    MeteredPrice,
    st.fixed_dictionaries({"inputTokens": COSTS, "outputTokens": COSTS}),
    st.none() | st.decimals("0.0001", "5", places=4).filter(bool),
    st.booleans(),
)
APPS = st.sampled_from(["chat", "todo"])


@dataclass
class MeteredHold(Held):
    """A reservation by units of the model, with its price."""

    price: MeteredPrice | None = None
    units: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] | None = None
    unpaid: Decimal = ZERO


def cost(price: MeteredPrice | None, units: dict[str, int]) -> Decimal | str:
    """Return the price of units, or the code of its refusal."""
    if price is None:
        return "unknown_operation"
    if not units.keys() <= price.unit_costs.keys():
        return "unknown_unit"
    total = sum((price.unit_costs[name] * count for name, count in units.items()), ZERO) / 1000
    least = price.minimum or Decimal("0.0001")
    return max(total.quantize(Decimal("0.0001"), ROUND_CEILING), least)


def same(units: dict[str, int]) -> Any:
    return tuple(sorted(units.items()))


class Units(Ledger):
    """Adds a metered operation whose price changes."""

    @initialize()
    def start(self) -> None:
        super().start()
        self.price: MeteredPrice | None = None
        self.change_price(MeteredPrice({"inputTokens": Decimal("0.4"), "outputTokens": Decimal(1)}))
        for user in range(2):
            self.grant(user, Decimal(30), 9)

    @rule(price=PRICES)
    def change_price(self, price: MeteredPrice) -> None:
        catalogue.set_price(OPERATION, price, actor="system", now=self.now)
        self.price = price

    @rule()
    def withdraw(self) -> None:
        catalogue.deactivate(OPERATION, actor="system", now=self.now)
        self.price = None

    def refusal_by_units(self, user: int, units: dict[str, int], app: str) -> str | None:
        amount = cost(self.price, units)
        return amount if isinstance(amount, str) else self.refusal_of(user, amount, app)

    @rule(user=USERS, units=UNITS, key=KEYS, app=APPS)
    def use(self, user: int, units: dict[str, int], key: str | None, app: str) -> None:
        request = ("use", same(units), app)
        known = self.known(user, key, request)
        refusal = {"conflict": "idempotency_key_reused", "replay": None}.get(
            known or "", self.refusal_by_units(user, units, app)
        )
        posting = self.expect(
            refusal,
            ledger.spend,
            self.ids[user],
            Priced(OPERATION, None, units),
            memo=Memo(app, "use"),
            origin=self.origin(key),
        )
        if known == "replay":
            assert posting.replayed
        elif posting:
            amount = cost(self.price, units)
            assert isinstance(amount, Decimal)
            self.post(user, posting, "usage", -amount, spends=True)
            self.remember(user, key, request)

    @rule(items=st.lists(st.tuples(USERS, UNITS | AMOUNTS, KEYS, APPS), min_size=1, max_size=6))
    def use_in_a_batch(self, items: list[tuple[int, Any, str | None, str]]) -> None:
        spends = [
            Spend(
                self.ids[user],
                Priced(OPERATION, None, what) if isinstance(what, dict) else what,
                Memo(app, "use"),
                key,
            )
            for user, what, key, app in items
        ]
        results = spend_batches.spend_all(spends, origin=self.origin())

        for (user, what, key, app), result in zip(items, results, strict=True):
            by_units = isinstance(what, dict)
            request = ("use", same(what), app) if by_units else ("spend", what, app)
            amount: Any = cost(self.price, what) if by_units else what
            known = self.known(user, key, request)
            code = amount if isinstance(amount, str) else self.refusal_of(user, amount, app)
            if known == "replay":
                assert result.replayed  # type: ignore[union-attr]
            elif known == "conflict":
                assert isinstance(result, IdempotencyKeyReused)
            elif code:
                assert isinstance(result, DomainError)
                assert result.code == code
            else:
                self.post(user, result, "usage", -amount, spends=True)
                self.remember(user, key, request)

    @rule(user=USERS, units=UNITS, key=KEYS, hours=st.integers(1, 6))
    def reserve_units(self, user: int, units: dict[str, int], key: str | None, hours: int) -> None:
        ttl = timedelta(hours=hours)
        refusal = self.refusal_by_units(user, units, "chat")
        wanted = Priced(OPERATION, None, units)
        hold = self.hold(user, wanted, ("reserve-units", same(units)), refusal, key, ttl)
        if hold:
            amount = cost(self.price, units)
            assert isinstance(amount, Decimal)
            self.accounts[user].held += amount
            held = MeteredHold(hold.reservation.pk, user, amount, self.now + ttl, key=key)
            held.price, held.units = self.price, units
            self.held.append(held)

    @rule(pick=PICKS, share=st.sampled_from([None, "0.0001", "0.5", "1", "1.5"]))
    def commit(self, pick: int, share: str | None) -> None:
        held = self.held[-1 - pick % len(self.held)] if self.held else None
        if not isinstance(held, MeteredHold):
            return super().commit(pick, share)
        if share is None:
            return self.settle_by_units(held, None)
        refusal = self.refusal_of_settled(held) or "units_required"
        amount = held.amount
        self.expect(refusal, reservations.commit, held.id, origin=self.origin(), amount=amount)
        if refusal == "reservation_expired" and held.status == "open":
            self.settle(held, "expired")
        return None

    @rule(pick=PICKS, units=UNITS)
    def commit_units(self, pick: int, units: dict[str, int]) -> None:
        held = self.held[-1 - pick % len(self.held)] if self.held else None
        if isinstance(held, MeteredHold):
            self.settle_by_units(held, units)
        elif held:
            refusal = self.refusal_of_settled(held) or "operation_not_metered"
            self.expect(refusal, reservations.commit, held.id, origin=self.origin(), units=units)
            if refusal == "reservation_expired" and held.status == "open":
                self.settle(held, "expired")

    def refusal_of_settled(self, held: Held) -> str | None:
        if held.status != "open":
            return f"reservation_{held.status}"
        return "reservation_expired" if held.expires <= self.now else None

    def settle_by_units(self, held: MeteredHold, units: dict[str, int] | None) -> None:
        used = held.units if units is None else units
        amount = held.amount if units is None else cost(held.price, units)
        refusal = self.refusal_of_settled(held)
        if held.status == "committed" and held.used == used:
            refusal = None
        elif refusal is None and isinstance(amount, str):
            refusal = amount
        hold = self.expect(refusal, reservations.commit, held.id, origin=self.origin(), units=units)
        if refusal == "reservation_expired" and held.status == "open":
            self.settle(held, "expired")
        elif hold and held.status == "committed":
            assert hold.replayed
            assert (hold.reservation.committed_amount, hold.unpaid) == (held.taken, held.unpaid)
        elif hold:
            assert isinstance(amount, Decimal)
            taken = min(amount, held.amount) + self.excess(held, amount - held.amount)
            held.used, held.unpaid = used, amount - taken
            self.settle(held, "committed", taken)
            self.accounts[held.user].move(-taken, self.now, spends=True)
            entry = hold.reservation.transaction
            self.entries.append(Entry(entry.pk, held.user, "usage", -taken, self.now, "chat"))
            assert (hold.reservation.committed_amount, hold.unpaid) == (taken, held.unpaid)

    def excess(self, held: MeteredHold, wanted: Decimal) -> Decimal:
        """Return what a commit takes beyond its hold."""
        account, price = self.accounts[held.user], held.price
        assert price is not None
        if not price.may_overdraw:
            wanted = min(wanted, account.posted - account.held)
        room = [
            limit - self.spent(held.user, app)
            for app, limit in account.limits.items()
            if app in {"", "chat"}
        ]
        return max(ZERO, min([wanted, *room]))


@pytest.mark.slow
@pytest.mark.django_db
def test_any_order_of_verbs_with_units_keeps_the_books() -> None:
    run_state_machine_as_test(
        Units,
        settings=settings(
            max_examples=at_most(40),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Reservation.objects.count() == 0
