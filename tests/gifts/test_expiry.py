"""Expired gifts return their credits to their creators, exactly once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from credits import due_rows
from credits.ledger.posting import Origin
from credits.models import Balance, Transaction
from credits.principals import User
from gifts import codes, expiry
from gifts.models import GiftCode, GiftMisses
from tests.api import Caller, at_once
from tests.factories import gift, give

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def expire(now: datetime = NOW, limit: int = 1000) -> int:
    return list(expiry.expire_due(now=now, limit=limit)).count("expired")


def test_the_credits_come_back_to_the_last_ten_thousandth() -> None:
    give("ivan", "10.1234")
    made = gift("ivan", "9.1234", at=NOW - timedelta(days=7), days=7)

    assert expire() == 1

    balance = Balance.objects.get(pk="ivan")
    assert (balance.posted, balance.total_earned, balance.total_spent) == (
        Decimal("10.1234"),
        Decimal("10.1234"),
        Decimal(0),
    )
    assert GiftCode.objects.get(pk=made.pk).status == "expired"
    entry = Transaction.objects.get(cause=f"gift:{made.pk}")
    assert (entry.actor, entry.created_at) == ("system", NOW)


def test_a_gift_expires_at_its_time_and_not_before() -> None:
    give("ivan", 10)
    gift("ivan", at=NOW - timedelta(days=7), days=7)

    early = expire(NOW - timedelta(milliseconds=1))
    due = expire(NOW)

    assert (early, due) == (0, 1)


def test_a_settled_reservation_stays_settled(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    ivan.delete(f"{made.pk}")

    assert expire(NOW + timedelta(days=365)) == 0
    assert Balance.objects.get(pk="ivan").posted == 10


def test_an_expired_gift_can_be_cancelled_while_its_credits_are_in_it(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", at=NOW - timedelta(days=7), days=1)

    answer = ivan.delete(f"{made.pk}")

    assert answer.json() == {"success": True, "refundedCredits": 10}
    assert expire() == 0


def test_the_limit_holds_and_the_next_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_rows, "LISTED_AT_ONCE", 2)
    give("ivan", 10)
    for _ in range(5):
        gift("ivan", 1, at=NOW - timedelta(days=7), days=1)

    assert expire(limit=3) == 3
    assert expire() == 2
    assert Balance.objects.get(pk="ivan").posted == 10


def test_the_command_expires_what_is_due_and_forgets_old_misses() -> None:
    give("ivan", 10)
    gift("ivan", at=datetime.now(UTC) - timedelta(days=2), days=1)
    GiftMisses.objects.create(
        bucket="user:x", misses=3, since=datetime.now(UTC) - timedelta(hours=25)
    )
    GiftMisses.objects.create(
        bucket="user:y", misses=3, since=datetime.now(UTC) - timedelta(hours=23)
    )
    out = StringIO()

    call_command("expire_gifts", stdout=out)

    assert out.getvalue() == "expire_gifts: 1 expired.\n"
    assert [row.bucket for row in GiftMisses.objects.all()] == ["user:y"]


@pytest.mark.usefixtures("committed")
def test_two_expiry_jobs_at_once_return_each_gift_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_rows, "LISTED_AT_ONCE", 3)
    for creator in ("ivan", "judy", "kate"):
        give(creator, 100)
        for _ in range(10):
            gift(creator, "3.3333", at=NOW - timedelta(days=7), days=1)

    counts = at_once(2, lambda _: expire())

    assert sum(counts) == 30
    assert (
        list(Balance.objects.values_list("posted", "total_spent"))
        == [(Decimal(100), Decimal(0))] * 3
    )


@pytest.mark.usefixtures("committed")
def test_expire_against_redeem_gives_the_credits_to_exactly_one(judy: Caller) -> None:
    give("ivan", 100)
    end = datetime.now(UTC) + timedelta(days=1)
    made = [gift("ivan", 10) for _ in range(10)]
    job_time = end + timedelta(days=90)

    def act(index: int) -> Any:
        return judy.post(f"{made[index - 1].code}/redeem", {}) if index else expire(job_time)

    expired, *answers = at_once(11, act)

    redeemed = [answer.status_code for answer in answers].count(200)
    assert {answer.status_code for answer in answers} <= {200, 400}
    # The job skips a gift that a redeemer has locked, and processes it in its next run.
    assert redeemed + expired + expire(job_time) == 10
    balances = dict(Balance.objects.values_list("pk", "posted"))
    assert balances["ivan"] == 100 - 10 * redeemed
    assert balances.get("judy", 0) == 10 * redeemed


def test_the_last_millisecond_redeems_and_the_next_does_not() -> None:
    give("ivan", 20)
    now = datetime.now(UTC)
    last, late = gift("ivan", at=now, days=1), gift("ivan", at=now, days=1)

    def redeem_at(made: GiftCode, moment: datetime) -> None:
        codes.redeem(made.code, user=User("judy"), address="::1", origin=Origin("user"), now=moment)

    redeem_at(last, last.expires_at - timedelta(milliseconds=1))
    with pytest.raises(codes.GiftNotRedeemable) as refusal:
        redeem_at(late, late.expires_at)

    assert refusal.value.details == {"status": "expired"}
    assert Balance.objects.get(pk="judy").posted == 10
