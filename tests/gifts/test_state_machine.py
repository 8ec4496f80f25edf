"""Random acts on gifts in any order neither lose nor create credits.

The model stores everybody's expected balance. Balances and active gifts together change only by
grants, purchases and spends.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from credits.ledger import ledger
from credits.ledger.outcomes import InsufficientCredits
from credits.ledger.posting import Memo, Origin
from credits.models import Balance
from credits.principals import User
from gifts import codes, expiry, pending
from gifts.codes import GiftNotRedeemable, GiftUnknown, NewGift, OwnGift
from gifts.models import GiftCode
from tests.books import discrepancies
from tests.factories import give
from tests.quick import at_most

PEOPLE = ("ann", "ben", "cem")
START = datetime(2027, 1, 31, tzinfo=UTC)

people = st.sampled_from(PEOPLE)
amounts = st.decimals(min_value=1, max_value=30, places=4)


def user(name: str) -> User:
    return User(name, email=f"{name}@example.test", name=name)


class Gifts(RuleBasedStateMachine):
    made = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.now = START
        self.owned = dict.fromkeys(PEOPLE, Decimal(0))
        self.live: dict[Any, tuple[str, Decimal, str | None, datetime]] = {}
        self.put_in = Decimal(0)
        self.attempts = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.example.__exit__(None, None, None)

    @rule(who=people, amount=amounts)
    def grant(self, who: str, amount: Decimal) -> None:
        give(who, amount)
        self.owned[who] += amount
        self.put_in += amount

    @rule(who=people, amount=amounts)
    def spend(self, who: str, amount: Decimal) -> None:
        def act() -> None:
            ledger.spend(who, amount, memo=Memo("chat"), origin=Origin("user"))

        if self.owned[who] < amount:
            refused(act, InsufficientCredits)
            return
        act()
        self.owned[who] -= amount
        self.put_in -= amount

    @rule(
        target=made,
        who=people,
        amount=amounts,
        days=st.integers(1, 20),
        to=st.none() | people,
        replays=st.booleans(),
    )
    def create(self, who: str, amount: Decimal, days: int, to: str | None, replays: bool) -> Any:
        new = NewGift(
            amount,
            self.now + timedelta(days=days),
            target_email=f"{to}@Example.test" if to else None,
        )
        self.attempts += 1
        origin = Origin("user", key=f"attempt {self.attempts}")

        def act() -> GiftCode:
            return codes.create(user(who), new, origin=origin, now=self.now)

        if self.owned[who] < amount:
            refused(act, InsufficientCredits)
            return None
        gift = act()
        if replays:
            assert act().pk == gift.pk
        self.owned[who] -= amount
        self.live[gift.pk] = (who, amount, to, new.expires_at)
        return gift

    @rule(gift=made, who=people)
    def redeem(self, gift: GiftCode | None, who: str) -> None:
        if gift is None:
            return

        def act() -> None:
            codes.redeem(
                gift.code, user=user(who), address="::1", origin=Origin("user"), now=self.now
            )

        if gift.creator_id == who:
            refused(act, OwnGift)
        elif gift.target_email not in {None, user(who).email}:
            refused(act, GiftUnknown)
        elif gift.pk not in self.live or gift.expires_at <= self.now:
            refused(act, GiftNotRedeemable)
        else:
            act()
            self.owned[who] += self.live.pop(gift.pk)[1]

    @rule(gift=made, who=people)
    def cancel(self, gift: GiftCode | None, who: str) -> None:
        if gift is None:
            return

        def act() -> None:
            codes.cancel(gift.pk, user=user(who), origin=Origin("user"), now=self.now)

        if gift.creator_id != who:
            refused(act, GiftUnknown)
        elif gift.pk not in self.live:
            refused(act, GiftNotRedeemable)
        else:
            act()
            self.owned[who] += self.live.pop(gift.pk)[1]

    @rule(who=people)
    def register(self, who: str) -> None:
        mine = [
            (pk, amount)
            for pk, (creator, amount, to, end) in self.live.items()
            if to == who and creator != who and end > self.now
        ]

        arrived = pending.redeem_pending(
            who, f"{who.upper()}@example.test", origin=Origin("service"), now=self.now
        )

        assert arrived == (len(mine), sum((amount for _, amount in mine), Decimal(0)))
        for pk, amount in mine:
            del self.live[pk]
            self.owned[who] += amount

    @rule(days=st.integers(1, 10), job=st.booleans())
    def time_passes(self, days: int, job: bool) -> None:
        self.now += timedelta(days=days)
        if not job:
            return
        over = [pk for pk, (_, _, _, end) in self.live.items() if end <= self.now]

        assert list(expiry.expire_due(now=self.now, limit=1000)) == ["expired"] * len(over)
        for pk in over:
            creator, amount, _, _ = self.live.pop(pk)
            self.owned[creator] += amount

    @invariant()
    def everybody_has_what_they_must_have(self) -> None:
        posted = dict(Balance.objects.values_list("pk", "posted"))

        assert {who: posted.get(who, Decimal(0)) for who in PEOPLE} == self.owned

    @invariant()
    def no_credit_is_lost_and_none_is_made(self) -> None:
        active = GiftCode.objects.filter(status="active").values_list("total_credits", flat=True)
        posted = Balance.objects.values_list("posted", flat=True)

        assert sum([*active, *posted]) == self.put_in

    @invariant()
    def the_books_close(self) -> None:
        assert discrepancies() == []


def refused(act: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error), transaction.atomic():
        act()


@pytest.mark.django_db
def test_no_order_of_events_loses_or_makes_a_credit(settings: Any) -> None:
    settings.GIFT_MISS_LIMITS = dict.fromkeys(("user", "address", "short codes"), 10_000)
    run_state_machine_as_test(
        Gifts, settings=budget(max_examples=at_most(25), stateful_step_count=25, deadline=None)
    )
