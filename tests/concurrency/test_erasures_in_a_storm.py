"""Random acts of several threads during erasures of the same people: no deadlock and no error."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import connection

from credits.errors import DomainError
from credits.models import AdjustmentRequest
from credits.sync import cloud_sync
from gifts import campaigns
from gifts.campaigns import CampaignPlan
from gifts.models import GiftCode
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.acts.audit import Justification, Operator
from mana_credits.privacy import erasure, erasure_requests
from tests.api import at_once
from tests.factories import gift, give, redeem, spend
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("committed")

PEOPLE = ("ann", "ben", "cem")
WHY = Justification("goodwill", "The chat hung")
SAM, FIONA = (Operator(name, lambda _: True) for name in ("sam", "fiona"))


def now() -> datetime:
    return datetime.now(UTC)


def address(user_id: str) -> str:
    return f"{user_id}@example.test"


class Acts:
    """Acts on random people, some of whom were just erased."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def one(self) -> None:
        """Do one of them; most of the refusals are expected."""
        acts: list[Callable[[str], object]] = [
            lambda who: give(who, 20),
            lambda who: spend(who, 1),
            lambda who: gift(self.anybody(), 1, target_email=address(who)),
            self.redeem,
            lambda who: cloud_sync.give(who, by="operator:olga", now=now()),
            self.ask,
            self.approve,
            self.make_codes,
            lambda who: erasure.erase_rows(who, addresses=[address(who)]),
            self.erase_in_the_worker,
        ]
        with suppress(DomainError):
            self.chance.choice(acts)(self.anybody())

    def anybody(self) -> str:
        return self.chance.choice(PEOPLE)

    def redeem(self, who: str) -> None:
        for made in GiftCode.objects.filter(status="active", target_email=address(who))[:1]:
            redeem(made, who, address(who))

    def ask(self, who: str) -> None:
        balance_adjustments.adjust(SAM, who, Decimal(500), why=WHY, key=uuid4(), now=now())

    def approve(self, who: str) -> None:
        for asked in AdjustmentRequest.objects.filter(status="pending")[:1]:
            balance_adjustments.approve(FIONA, asked.pk, note="", key=uuid4(), now=now())

    def make_codes(self, who: str) -> None:
        plan = CampaignPlan(2, Decimal(1), now() + timedelta(days=3), "operator:olga", who)
        list(campaigns.make_codes(campaigns.start(f"for {uuid4()}", plan, now=now()), now=now()))

    def erase_in_the_worker(self, who: str) -> None:
        erasure_requests.erase_or_record(who, now=now())
        list(erasure_requests.complete_due())


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_erasures_meet_all_other_acts_without_a_deadlock_or_an_error(seed: int) -> None:
    before = deadlocks()

    def act(index: int) -> None:
        # A deadlock is found at once, and not hidden by the end of the patience.
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '5ms'; SET lock_timeout = '15s'")
        acts = Acts(seed * 100 + index)
        for _ in range(30):
            acts.one()

    with patch("mana_credits.privacy.erasure_requests.LONGEST_AT_ONCE", 3):
        at_once(7, act)

    assert deadlocks() == before
