"""The ledger and reservations, called in random order, against a small model."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

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

from credits.controls import account_settings
from credits.controls.account_settings import NewSettings
from credits.errors import DomainError
from credits.ledger import books, ledger, reservation_expiry, reservations, spend_batches
from credits.ledger.outcomes import IdempotencyKeyReused
from credits.ledger.posting import Memo, Origin, Priced
from credits.ledger.spend_batches import Spend
from credits.models import Balance, Reservation
from tests.quick import at_most

ZERO = Decimal(0)
AMOUNTS = st.decimals("0.0001", "50", places=4).filter(bool)
USERS = st.integers(0, 1)
PICKS = st.integers(0, 5)
KEYS = st.sampled_from([None, None, "k1", "k2", "k3"])
NOT_REVERSIBLE = {"reversal", "gift", "purchase", "clawback", "reinstatement"}


@dataclass
class Account:
    """A user in the model."""

    posted: Decimal = ZERO
    held: Decimal = ZERO
    earned: Decimal = ZERO
    spent: Decimal = ZERO
    count: int = 0
    keys: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    limits: dict[str, Decimal] = field(default_factory=dict)

    def move(self, amount: Decimal, at: datetime, *, kind: str = "usage", spends: bool) -> None:
        """Post `amount` as a transaction of that type. The totals stay at or above zero."""
        self.posted += amount
        self.count += 1
        change = max(-amount, -self.spent) if spends else max(-amount - self.earned, ZERO)
        self.spent += change
        self.earned += amount + change


@dataclass
class Entry:
    """A transaction of the model."""

    id: Any
    user: int
    type: str
    amount: Decimal
    at: datetime
    app: str = ""
    of: "Entry | None" = None
    returned: Decimal = ZERO


@dataclass
class Held:
    """A reservation of the model."""

    id: Any
    user: int
    amount: Decimal
    expires: datetime
    status: str = "open"
    taken: Decimal = ZERO
    key: str | None = None


class Ledger(RuleBasedStateMachine):
    """Runs the ledger and the model side by side."""

    account_type = Account

    @initialize()
    def start(self) -> None:
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.ids = [f"user-{uuid4()}" for _ in range(2)]
        self.accounts = [self.account_type(), self.account_type()]
        self.entries: list[Entry] = []
        self.held: list[Held] = []
        self.causes: dict[str, Entry] = {}
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def teardown(self) -> None:
        """Roll back, so that examples are independent."""
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    def origin(self, key: str | None = None) -> Origin:
        return Origin("service:test", key=key, at=self.now)

    def expect(self, code: str | None, act: Any, *arguments: Any, **options: Any) -> Any:
        """Call `act`, and check that it raises `code`, or nothing."""
        refusal, result = None, None
        try:
            result = act(*arguments, **options)
        except DomainError as error:
            refusal = error.code
        assert refusal == code
        return result

    def known(self, user: int, key: str | None, request: tuple[Any, ...]) -> str | None:
        """Return `replay` or `conflict` for a used key, else None."""
        before = self.accounts[user].keys.get(key or "")
        return None if before is None else "replay" if before == request else "conflict"

    def remember(self, user: int, key: str | None, request: tuple[Any, ...]) -> None:
        if key:
            self.accounts[user].keys[key] = request

    def post(
        self,
        user: int,
        posting: Any,
        kind: str,
        amount: Decimal,
        *,
        spends: bool = False,
        of: Entry | None = None,
    ) -> Entry:
        """Record a posted transaction in the model."""
        assert not posting.replayed
        assert posting.transaction.amount == amount
        self.accounts[user].move(amount, self.now, kind=kind, spends=spends)
        app = posting.transaction.app_id
        entry = Entry(posting.transaction.pk, user, kind, amount, self.now, app, of)
        self.entries.append(entry)
        return entry

    def spent(self, user: int, app: str) -> Decimal:
        """Return what counts against the user's limit of `app`, or of all apps if it is empty."""

        def counts(entry: Entry) -> bool:
            return entry.user == user and app in {"", entry.app} and entry.at.month == month

        month = self.now.month
        usages = [one for one in self.entries if one.type == "usage" and counts(one)]
        back = [
            one.amount
            for one in self.entries
            if one.at.month == month and one.of and one.of in usages
        ]
        held = [one.amount for one in self.held if (one.user, one.status) == (user, "open")]
        holds = sum(held, ZERO) if app in {"", "chat"} else ZERO
        return holds - sum((one.amount for one in usages), ZERO) - sum(back, ZERO)

    def refusal_of(self, user: int, amount: Decimal, app: str) -> str | None:
        """Return the code of the error with which a new spend or hold is refused, or None."""
        account = self.accounts[user]
        if account.posted - account.held < amount:
            return "insufficient_credits"
        reached = any(
            self.spent(user, limited) + amount > limit
            for limited, limit in account.limits.items()
            if limited in {"", app}
        )
        return "spending_limit_reached" if reached else None

    @rule(
        user=USERS,
        limits=st.dictionaries(
            st.sampled_from(["", "chat", "todo"]), st.decimals("0", "120", places=4), max_size=3
        ),
    )
    def limit(self, user: int, limits: dict[str, Decimal]) -> None:
        apps = {app: limit for app, limit in limits.items() if app}
        account_settings.save(
            self.ids[user],
            NewSettings(monthly_limit=limits.get(""), app_limits=apps),
            origin=self.origin(),
            now=self.now,
        )
        self.accounts[user].limits = limits

    @rule(user=USERS, amount=AMOUNTS, reference=st.integers(0, 8))
    def grant(self, user: int, amount: Decimal, reference: int) -> None:
        cause = f"grant:{self.ids[user]}:{reference}"
        posting = ledger.grant(
            self.ids[user], amount, memo=Memo(), origin=self.origin(), cause=cause
        )
        if cause in self.causes:
            assert posting.replayed
            assert posting.transaction.pk == self.causes[cause].id
        else:
            self.causes[cause] = self.post(user, posting, "grant", amount)

    @rule(user=USERS, amount=AMOUNTS, key=KEYS, app=st.sampled_from(["chat", "todo"]))
    def spend(self, user: int, amount: Decimal, key: str | None, app: str) -> None:
        request = ("spend", amount, app)
        known = self.known(user, key, request)
        refusal = {"conflict": "idempotency_key_reused", "replay": None}.get(
            known or "", self.refusal_of(user, amount, app)
        )
        posting = self.expect(
            refusal,
            ledger.spend,
            self.ids[user],
            amount,
            memo=Memo(app, "spend"),
            origin=self.origin(key),
        )
        if known == "replay":
            assert posting.replayed
        elif posting:
            self.post(user, posting, "usage", -amount, spends=True)
            self.remember(user, key, request)

    @rule(
        items=st.lists(
            st.tuples(USERS, AMOUNTS, KEYS, st.sampled_from(["chat", "todo"])),
            min_size=1,
            max_size=6,
        )
    )
    def spend_in_a_batch(self, items: list[tuple[int, Decimal, str | None, str]]) -> None:
        spends = [
            Spend(self.ids[user], amount, Memo(app, "spend"), key)
            for user, amount, key, app in items
        ]
        results = spend_batches.spend_all(spends, origin=self.origin())

        for (user, amount, key, app), result in zip(items, results, strict=True):
            account, request = self.accounts[user], ("spend", amount, app)
            known = self.known(user, key, request)
            if known == "replay":
                assert result.replayed  # type: ignore[union-attr]
            elif known == "conflict":
                assert isinstance(result, IdempotencyKeyReused)
            elif code := self.refusal_of(user, amount, app):
                assert isinstance(result, DomainError)
                assert result.code == code
            else:
                self.post(user, result, "usage", -amount, spends=True)
                self.remember(user, key, request)
            if not isinstance(result, DomainError):
                assert result.balance.available == account.posted - account.held
                assert result.balance.total_spent == account.spent

    @rule(user=USERS, amount=AMOUNTS)
    def refund(self, user: int, amount: Decimal) -> None:
        seen = Balance.objects.filter(pk=self.ids[user]).exists()
        posting = self.expect(
            None if seen else "user_not_found",
            ledger.refund,
            self.ids[user],
            amount,
            memo=Memo(),
            origin=self.origin(),
        )
        if posting:
            self.post(user, posting, "refund", amount, spends=True)

    @rule(pick=PICKS, amount=AMOUNTS)
    def refund_of_a_usage(self, pick: int, amount: Decimal) -> None:
        if not self.entries:
            return
        original = self.entries[-1 - pick % len(self.entries)]
        refusal = None
        if original.type != "usage":
            refusal = "transaction_not_found"
        elif original.returned + amount > -original.amount:
            refusal = "exceeds_original"
        posting = self.expect(
            refusal,
            ledger.refund,
            self.ids[original.user],
            amount,
            memo=Memo(),
            origin=self.origin(),
            usage_id=original.id,
        )
        if posting:
            self.post(original.user, posting, "refund", amount, spends=True, of=original)
            original.returned += amount

    @rule(user=USERS, amount=AMOUNTS, sign=st.sampled_from([1, -1]))
    def adjust(self, user: int, amount: Decimal, sign: int) -> None:
        posting = ledger.adjust(self.ids[user], sign * amount, memo=Memo(), origin=self.origin())
        self.post(user, posting, "adjustment", sign * amount)

    @rule(pick=PICKS)
    def reverse(self, pick: int) -> None:
        if not self.entries:
            return
        original = self.entries[-1 - pick % len(self.entries)]
        cause = f"reversal:{original.id}"
        refusal = None
        if original.type in NOT_REVERSIBLE:
            refusal = "not_reversible"
        elif cause not in self.causes and original.returned:
            refusal = "exceeds_original"
        posting = self.expect(
            refusal, ledger.reverse, original.id, memo=Memo(), origin=self.origin()
        )
        if posting and cause in self.causes:
            assert posting.replayed
        elif posting:
            spends = original.type in {"usage", "refund"}
            self.causes[cause] = self.post(
                original.user, posting, "reversal", -original.amount, spends=spends, of=original
            )
            original.returned = -original.amount

    @rule(user=USERS, amount=AMOUNTS, number=st.integers(0, 4))
    def claw_back(self, user: int, amount: Decimal, number: int) -> None:
        cause = f"dispute:{self.ids[user]}:{number}"
        posting = ledger.claw_back(
            self.ids[user], amount, memo=Memo(), origin=self.origin(), cause=cause
        )
        if cause in self.causes:
            assert posting.replayed
        else:
            self.causes[cause] = self.post(user, posting, "clawback", -amount)

    @rule(pick=PICKS)
    def reinstate(self, pick: int) -> None:
        taken = [entry for entry in self.entries if entry.type == "clawback"]
        if not taken:
            return
        original = taken[pick % len(taken)]
        cause = f"reinstatement:{original.id}"
        refusal = "exceeds_original" if cause not in self.causes and original.returned else None
        posting = self.expect(
            refusal, ledger.reinstate, original.id, memo=Memo(), origin=self.origin()
        )
        if posting and cause in self.causes:
            assert posting.replayed
        elif posting:
            self.causes[cause] = self.post(
                original.user, posting, "reinstatement", -original.amount
            )
            original.returned = -original.amount

    @rule(user=USERS, amount=AMOUNTS, key=KEYS, hours=st.integers(1, 6))
    def reserve(self, user: int, amount: Decimal, key: str | None, hours: int) -> None:
        ttl = timedelta(hours=hours)
        refusal = self.refusal_of(user, amount, "chat")
        hold = self.hold(user, amount, ("reserve", amount), refusal, key, ttl)
        if hold:
            self.accounts[user].held += amount
            self.held.append(Held(hold.reservation.pk, user, amount, self.now + ttl, key=key))

    def hold(
        self,
        user: int,
        amount: Decimal | Priced,
        request: tuple[Any, ...],
        refusal: str | None,
        key: str | None,
        ttl: timedelta,
    ) -> Any:
        """Reserve; expect `refusal` unless the key is known. Return a new hold, or None."""
        known = self.known(user, key, request)
        expected = {"conflict": "idempotency_key_reused", "replay": self.dead(user, key)}.get(
            known or "", refusal
        )
        hold = self.expect(
            expected,
            reservations.reserve,
            self.ids[user],
            amount,
            reason="chat:gpt",
            origin=self.origin(key),
            ttl=ttl,
        )
        if known == "replay":
            assert expected or hold.replayed
            return None
        if hold:
            self.remember(user, key, request)
        return hold

    def dead(self, user: int, key: str | None) -> str | None:
        """Return the error code for the key of a settled reservation, or None."""
        for held in self.held:
            if key is not None and (held.user, held.key) == (user, key):
                lapsed = held.status == "open" and held.expires <= self.now
                status = "expired" if lapsed else held.status
                return f"reservation_{status}" if status in {"released", "expired"} else None
        return None

    @rule(pick=PICKS, share=st.sampled_from([None, "0.0001", "0.5", "1", "1.5"]))
    def commit(self, pick: int, share: str | None) -> None:
        if not self.held:
            return
        held = self.held[-1 - pick % len(self.held)]
        wanted = (
            None
            if share is None
            else (held.amount * Decimal(share)).quantize(Decimal("0.0001")) or Decimal("0.0001")
        )
        taken = held.amount if wanted is None else wanted
        expired = held.status == "open" and held.expires <= self.now
        refusal = None
        if expired:
            refusal = "reservation_expired"
        elif held.status != "open" and (held.status, held.taken) != ("committed", taken):
            refusal = f"reservation_{held.status}"
        elif held.status == "open" and taken > held.amount:
            refusal = "exceeds_reservation"
        hold = self.expect(
            refusal, reservations.commit, held.id, origin=self.origin(), amount=wanted
        )
        if expired:
            self.settle(held, "expired")
        elif hold and held.status == "committed":
            assert hold.replayed
        elif hold:
            self.settle(held, "committed", taken)
            self.accounts[held.user].move(-taken, self.now, spends=True)
            entry = hold.reservation.transaction
            self.entries.append(Entry(entry.pk, held.user, "usage", -taken, self.now, "chat"))

    @rule(pick=PICKS)
    def release(self, pick: int) -> None:
        if not self.held:
            return
        held = self.held[-1 - pick % len(self.held)]
        expired = held.status == "open" and held.expires <= self.now
        refusal = None
        if expired:
            refusal = "reservation_expired"
        elif held.status not in {"open", "released"}:
            refusal = f"reservation_{held.status}"
        hold = self.expect(refusal, reservations.release, held.id, origin=self.origin())
        if expired:
            self.settle(held, "expired")
        elif hold and held.status == "released":
            assert hold.replayed
        elif hold:
            self.settle(held, "released")

    @rule(hours=st.integers(0, 5))
    def time_passes_and_the_job_runs(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        due = [one for one in self.held if one.status == "open" and one.expires <= self.now]
        still_open = Reservation.objects.filter(user_id__in=self.ids, status="open")
        before = set(still_open.values_list("pk", flat=True))
        outcomes = list(reservation_expiry.expire_due(now=self.now, limit=10_000))
        # Examples share the test's transaction. Reservations of earlier ones expire here too.
        assert set(outcomes) <= {"expired"}
        assert before - set(still_open.values_list("pk", flat=True)) == {one.id for one in due}
        for one in due:
            self.settle(one, "expired")

    @rule(hours=st.integers(1, 3))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    def settle(self, held: Held, status: str, taken: Decimal = ZERO) -> None:
        held.status, held.taken = status, taken
        self.accounts[held.user].held -= held.amount

    @invariant()
    def the_books_close_and_say_what_the_model_says(self) -> None:
        assert books.check(self.ids) == []
        for user_id, account in zip(self.ids, self.accounts, strict=True):
            balance = ledger.balance_of(user_id)
            assert (balance.posted, balance.held) == (account.posted, account.held)
            assert (balance.total_earned, balance.total_spent) == (account.earned, account.spent)
            assert balance.last_number == account.count


@pytest.mark.django_db
def test_any_order_of_verbs_keeps_the_books() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=at_most(40),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
