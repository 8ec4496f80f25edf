"""Services with capped keys among all other verbs, in random order, against the ledger's model."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from credits.errors import DomainError
from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.ledger.spend_batches import Spend
from credits.models import Transaction
from credits.principals import Service
from internal_api import service_caps
from internal_api.models import ServiceTotal
from tests.credits.test_state_machine import AMOUNTS, KEYS, USERS, ZERO, Held, Ledger
from tests.quick import at_most

APPS = st.sampled_from(["chat", "todo"])
CAPS = {"daily_spend_per_user": Decimal(12), "daily_grants": Decimal(90)}
SMALL = st.decimals("2.5", "10", places=4)  # a few of them reach the cap


class ServiceKeys(Ledger):
    """Adds two services: `bot` has caps, `free` has none."""

    @initialize()
    def start(self) -> None:
        super().start()
        self.services = [Service("bot", caps=CAPS), Service("free")]
        self.usages: list[tuple[str, int, Decimal, datetime]] = []
        self.holds: list[tuple[str, Held]] = []
        self.granted: list[tuple[Decimal, datetime]] = []
        for user in range(2):  # enough that caps refuse more often than funds
            self.grant(user, Decimal(500), 9)

    def signed(self, service: Service, key: str | None = None) -> Origin:
        return Origin(service.actor, key=key, at=self.now)

    def today(self, service: Service, user: int) -> Decimal:
        """Return what the service has spent for the user today, and what it holds."""
        spent = [
            amount
            for actor, whose, amount, at in self.usages
            if (actor, whose, at.date()) == (service.actor, user, self.now.date())
        ]
        held = [
            hold.amount
            for actor, hold in self.holds
            if (actor, hold.user, hold.status) == (service.actor, user, "open")
        ]
        return sum(spent, ZERO) + sum(held, ZERO)

    def refusal_with_cap(self, service: Service, user: int, amount: Decimal, app: str) -> Any:
        cap = service.caps.get("daily_spend_per_user")
        if code := self.refusal_of(user, amount, app):
            return code
        fits = cap is None or self.today(service, user) + amount <= cap
        return None if fits else "cap_reached"

    @rule(which=st.integers(0, 1), user=USERS, amount=SMALL, key=KEYS, app=APPS)
    def spend_by_key(
        self, which: int, user: int, amount: Decimal, key: str | None, app: str
    ) -> None:
        service, request = self.services[which], ("spend", amount, app)
        known = self.known(user, key, request)
        refusal = {"conflict": "idempotency_key_reused", "replay": None}.get(
            known or "", self.refusal_with_cap(service, user, amount, app)
        )
        spend = partial(
            ledger.spend,
            self.ids[user],
            amount,
            memo=Memo(app, "spend"),
            origin=self.signed(service, key),
        )
        posting = self.expect(
            refusal, service_caps.spending, service, self.ids[user], spend, now=self.now
        )
        if known == "replay":
            assert posting.replayed
        elif posting:
            self.spent_by(service, user, posting, amount)
            self.remember(user, key, request)

    @rule(
        which=st.integers(0, 1),
        items=st.lists(st.tuples(USERS, SMALL, KEYS, APPS), min_size=1, max_size=5),
    )
    def batch_by_key(self, which: int, items: list[tuple[int, Decimal, str | None, str]]) -> None:
        service = self.services[which]
        spends = [
            Spend(self.ids[user], amount, Memo(app, "spend"), key)
            for user, amount, key, app in items
        ]
        results = service_caps.spend_all(service, spends, origin=self.signed(service), now=self.now)
        for (user, amount, key, app), result in zip(items, results, strict=True):
            request = ("spend", amount, app)
            known = self.known(user, key, request)
            code = result.code if isinstance(result, DomainError) else None
            if known == "replay":
                assert code is None
            elif known == "conflict":
                assert code == "idempotency_key_reused"
            else:
                assert code == self.refusal_with_cap(service, user, amount, app)
            if code is None and known is None:
                self.spent_by(service, user, result, amount)
                self.remember(user, key, request)

    @rule(which=st.integers(0, 1), user=USERS, amount=SMALL, hours=st.integers(1, 6))
    def reserve_by_key(self, which: int, user: int, amount: Decimal, hours: int) -> None:
        service = self.services[which]
        refusal = self.refusal_with_cap(service, user, amount, "chat")
        reserve = partial(
            reservations.reserve,
            self.ids[user],
            amount,
            reason="chat:gpt",
            origin=self.signed(service),
            ttl=timedelta(hours=hours),
        )
        hold = self.expect(
            refusal, service_caps.spending, service, self.ids[user], reserve, now=self.now
        )
        if hold:
            expires = self.now + timedelta(hours=hours)
            self.accounts[user].held += amount
            self.held.append(Held(hold.reservation.pk, user, amount, expires))
            self.holds.append((service.actor, self.held[-1]))

    @rule(user=USERS, amount=AMOUNTS, reference=st.integers(10, 18))
    def grant_by_key(self, user: int, amount: Decimal, reference: int) -> None:
        service, cause = self.services[0], f"grant:{self.ids[user]}:{reference}"
        today = sum((one for one, at in self.granted if at.date() == self.now.date()), ZERO)
        fits = cause in self.causes or today + amount <= CAPS["daily_grants"]
        grant = partial(
            ledger.grant,
            self.ids[user],
            amount,
            memo=Memo(),
            origin=self.signed(service),
            cause=cause,
        )
        posting = self.expect(
            None if fits else "cap_reached",
            service_caps.counted,
            service,
            service_caps.GRANTS,
            amount,
            grant,
            now=self.now,
        )
        if posting and cause in self.causes:
            assert posting.replayed
        elif posting:
            self.causes[cause] = self.post(user, posting, "grant", amount)
            self.granted.append((amount, self.now))

    def spent_by(self, service: Service, user: int, posting: Any, amount: Decimal) -> None:
        self.post(user, posting, "usage", -amount, spends=True)
        self.usages.append((service.actor, user, amount, self.now))

    @invariant()
    def each_movement_names_its_service_and_no_cap_is_exceeded(self) -> None:
        rows = Transaction.objects.filter(user_id__in=self.ids, type="usage")
        by_actor = [rows.filter(actor=service.actor).count() for service in self.services]
        assert by_actor == [
            sum(actor == service.actor for actor, *_ in self.usages) for service in self.services
        ]
        totals = ServiceTotal.objects.values_list("credits", flat=True)
        assert sum(totals, ZERO) == sum((amount for amount, _ in self.granted), ZERO)
        assert all(total <= CAPS["daily_grants"] for total in totals)


@pytest.mark.slow
@pytest.mark.django_db
def test_keys_and_caps_in_any_order_of_verbs_keep_the_books() -> None:
    run_state_machine_as_test(
        ServiceKeys,
        settings=settings(
            max_examples=at_most(25),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
