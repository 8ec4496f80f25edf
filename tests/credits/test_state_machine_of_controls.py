"""The ledger's random order of verbs, with crossings of thresholds and automatic top-ups."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from credits.controls import account_settings, low_balance
from credits.controls.account_settings import NewSettings
from credits.ledger import ledger
from credits.models import AccountSettings, AutoTopUp, OutboxMessage, Purchase, StripeCustomer
from credits.payments import auto_top_up, purchases, saved_cards, top_up_charges
from credits.payments.stripe_errors import CardDeclined
from credits.payments.stripe_facts import Payment
from tests.credits.test_state_machine import USERS, Account, Entry, Ledger
from tests.factories import package
from tests.quick import at_most

CREDITS = Decimal(30)
CENTS = 299
THRESHOLDS = st.decimals("0", "60", places=4)
OUTCOMES = st.sampled_from(["charged", "charged", "declined", "needs_owner"])


@dataclass
class Buyer(Account):
    """A user in the model, with a notice, a top-up and its purchases.

    `crossed` says that a notice is due. `due` is when the top-up may buy; `maximum` is 0 while it
    is off. `waiting` is the purchase that was charged and not reported yet.
    """

    low: Decimal | None = None
    crossed: bool = False
    maximum: int = 0
    threshold: Decimal = Decimal(0)
    due: datetime | None = None
    agreed: datetime | None = None
    taken_back: datetime | None = None
    failures: int = 0
    paused: bool = False
    waiting: Purchase | None = None
    told: int = 0

    def move(self, amount: Decimal, at: datetime, *, kind: str = "usage", spends: bool) -> None:
        """Post `amount`, and note what it crosses."""
        before = self.posted
        super().move(amount, at, kind=kind, spends=spends)
        if self.low is not None and before > self.low >= self.posted:
            self.crossed = True
        if kind == "clawback":
            self.taken_back = at
        if not self.maximum or self.paused or self.posted >= before:
            return
        crosses = self.due is None and before > self.threshold >= self.posted
        if kind == "clawback" or crosses:
            self.due = at

    def pause(self) -> None:
        self.paused, self.due = True, None
        self.told += 1


class Controls(Ledger):
    """Runs the ledger, its users' controls and the model side by side."""

    account_type = Buyer
    accounts: list[Buyer]  # type: ignore[assignment]

    @initialize()
    def start(self) -> None:
        super().start()
        self.offer = package(credits=CREDITS, price_euro_cents=CENTS)
        self.bought: list[tuple[int, datetime]] = []
        for user_id in self.ids:
            customer = {"stripe_customer_id": f"cus_{user_id}", "created_at": self.now}
            StripeCustomer.objects.create(user_id=user_id, **customer)
        for user in range(len(self.ids)):
            self.adjust(user, Decimal(60), 1)
            self.agree(user, Decimal(20), 1)

    @rule(
        user=USERS,
        low=st.none() | THRESHOLDS,
        limits=st.dictionaries(st.sampled_from(["", "chat"]), st.decimals("20", "120", places=4)),
    )
    def limit(self, user: int, low: Decimal | None, limits: dict[str, Decimal]) -> None:
        apps = {app: limit for app, limit in limits.items() if app}
        wanted = NewSettings(low, limits.get(""), apps)
        account_settings.save(self.ids[user], wanted, origin=self.origin(), now=self.now)
        account = self.accounts[user]
        account.limits = limits
        account.crossed = account.crossed and account.low == low
        account.low = low

    @rule(user=USERS, threshold=THRESHOLDS, maximum=st.integers(1, 2))
    def agree(self, user: int, threshold: Decimal, maximum: int) -> None:
        # What failed or was taken at the very moment of an agreement counts as after it.
        self.now += timedelta(milliseconds=1)
        setup = {
            "status": "succeeded",
            "customer": f"cus_{self.ids[user]}",
            "payment_method": "pm_1",
        }
        wanted = auto_top_up.Agreement(self.offer.pk, threshold, maximum, "seti_1")
        with patch.object(saved_cards, "setup", return_value=setup):
            auto_top_up.agree(self.ids[user], wanted, origin=self.origin(), now=self.now)
        account = self.accounts[user]
        account.threshold, account.maximum = threshold, maximum
        account.failures, account.paused, account.agreed = 0, False, self.now
        account.due = self.now if account.posted <= threshold else None

    @rule(user=USERS, below=st.sampled_from(["0", "0.0001", "5"]), outcome=OUTCOMES)
    def cross_and_buy(self, user: int, below: str, outcome: str) -> None:
        """Spend to the threshold or below it, and let the worker buy."""
        account = self.accounts[user]
        amount = account.posted - account.threshold + Decimal(below)
        if amount > 0:
            self.spend(user, amount, None, "todo")
        self.the_worker_buys(outcome)

    @rule(user=USERS)
    def switch_off(self, user: int) -> None:
        auto_top_up.switch_off(self.ids[user], origin=self.origin())
        self.accounts[user].maximum, self.accounts[user].due = 0, None
        self.accounts[user].paused = False

    @rule(outcome=OUTCOMES)
    def the_worker_buys(self, outcome: str) -> None:
        expected = [self.step(user, outcome) for user in range(len(self.ids))]
        with patch.object(saved_cards, "charge", side_effect=lambda one: self.charge(one, outcome)):
            seen = list(top_up_charges.top_up_due(now=self.now, limit=1000))
        assert sorted(seen) == sorted(word for words in expected for word in words)
        for user, account in enumerate(self.accounts):
            mine = Purchase.objects.filter(user_id=self.ids[user], status="pending")
            account.waiting = mine.first()

    def charge(self, purchase: Purchase, outcome: str) -> dict[str, Any]:
        """Answer as Stripe does."""
        if outcome == "charged":
            return {"id": f"pi_{purchase.pk}"}
        code = "card_declined" if outcome == "declined" else "authentication_required"
        raise CardDeclined(code, f"pi_{purchase.pk}")

    def step(self, user: int, outcome: str) -> list[str]:
        """Return the words for what the worker does about one user, and do it in the model."""
        account = self.accounts[user]
        if account.due is None or account.due > self.now:
            return []
        account.due = None
        if account.taken_back and account.agreed and account.taken_back >= account.agreed:
            account.pause()
            return ["paused"]
        if account.waiting or account.posted > account.threshold:
            return ["under_way" if account.waiting else "not_needed"]
        month = self.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        if sum(who == user and at >= month for who, at in self.bought) >= account.maximum:
            account.due = (month + timedelta(days=32)).replace(day=1)
            return ["capped"]
        if outcome == "charged":
            self.bought.append((user, self.now))
            account.failures = 0
            return ["started", "charged"]
        account.failures += 1
        if outcome == "needs_owner" or account.failures == 3:
            account.pause()
        else:
            account.due = self.now + timedelta(days=1 if account.failures == 1 else 3)
        return ["started", "failed"]

    @precondition(lambda self: any(one.waiting for one in self.accounts))
    @rule(times=st.integers(1, 2))
    def stripe_reports(self, times: int) -> None:
        for user, account in enumerate(self.accounts):
            if account.waiting is None:
                continue
            own = account.waiting.pk
            payment = Payment(f"pi_{own}", None, own, CENTS, "eur", "succeeded")
            for _ in range(times):
                paid = purchases.complete(payment, at=self.now, now=self.now)
            account.move(CREDITS, self.now, kind="purchase", spends=False)
            entry = paid and paid.transaction
            assert entry is not None
            self.entries.append(Entry(entry.pk, user, "purchase", CREDITS, self.now, "stripe"))
            account.waiting = None

    @rule()
    def the_worker_tells(self) -> None:
        crossed = [one for one in self.accounts if one.crossed]
        low = [one for one in crossed if one.low is not None and one.posted <= one.low]
        outcomes = list(low_balance.tell_due(now=self.now, limit=1000))
        assert outcomes.count("told") == len(low)
        assert outcomes.count("not_needed") == len(crossed) - len(low)
        for account in crossed:
            account.crossed = False
        for account in low:
            account.told += 1

    @rule(days=st.integers(1, 5))
    def days_pass(self, days: int) -> None:
        self.now += timedelta(days=days)

    @invariant()
    def every_crossing_is_noted_once_and_buys_within_the_agreement(self) -> None:
        for user, (user_id, account) in enumerate(zip(self.ids, self.accounts, strict=True)):
            notice = AccountSettings.objects.filter(pk=user_id, crossed_at__isnull=False)
            assert notice.exists() == account.crossed
            row = AutoTopUp.objects.filter(pk=user_id).first()
            assert (row is not None) == bool(account.maximum)
            if row:
                assert (row.due_at, row.paused_at is not None) == (account.due, account.paused)
            mine = Purchase.objects.filter(user_id=user_id)
            assert mine.exclude(status="failed").count() == sum(
                who == user for who, _ in self.bought
            )
            assert mine.filter(status="pending").count() == (account.waiting is not None)
            assert OutboxMessage.objects.filter(user_id=user_id).count() == account.told
            assert ledger.balance_of(user_id).posted == account.posted


@pytest.mark.slow
@pytest.mark.django_db
def test_any_order_of_verbs_crosses_and_buys_as_agreed() -> None:
    run_state_machine_as_test(
        Controls,
        settings=settings(
            max_examples=at_most(15),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
