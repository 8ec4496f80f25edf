"""The dashboard's figures: one query each, and zeros for missing data."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits import worker
from credits.ledger import credit_expiry, ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import Balance, CreditLot, JobRun, Reservation
from credits.payments import money_back
from credits.reporting import daily_totals
from credits.worker import Job
from mana_credits.back_office.admin import dashboard_figures
from mana_credits.back_office.admin.dashboard_figures import OpenReservations, Period
from tests.credits.test_money_back import paid, went_back
from tests.factories import gift, give, hold, redeem, spend
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
TODAY = NOW.date()
ONE_DAY = timedelta(days=1)
NOTHING = (0,) * (len(Period._fields) - 1)


def summed(first: date = TODAY, last: date = TODAY) -> None:
    list(daily_totals.sum_days(first, last))


def test_what_is_owed_is_what_users_have_and_what_is_in_gifts() -> None:
    give("alice", 100)
    give("bob", 20)
    redeem(gift("alice", 7), "bob")
    gift("alice", 10)
    hold("bob", 4)
    ledger.adjust("carol", Decimal(-3), memo=Memo(), origin=Origin("operator:olga"))
    summed()

    owed = dashboard_figures.outstanding(now=NOW)

    assert owed._asdict() == {
        "accounts": 3,
        "owed": 110,
        "debts": 3,
        "held": 4,
        "in_gifts": 10,
        "expired": 0,
    }


def test_without_anybody_nothing_is_owed() -> None:
    assert dashboard_figures.outstanding(now=NOW) == (0, 0, 0, 0, 0, 0)


def test_a_day_says_what_was_sold_spent_refunded_gifted_and_earned() -> None:
    give("alice", 100)
    usage = spend("alice", 30).transaction
    ledger.refund("alice", Decimal(5), memo=Memo(), origin=Origin("service"), usage_id=usage.pk)
    redeem(gift("alice", 10), "bob")
    purchase = paid(Decimal(500), 500)
    fact = went_back(purchase, 100)
    money_back.record(fact, now=NOW)
    money_back.record(went_back(purchase, 50), now=NOW)
    money_back.record(fact._replace(state="returned", status="failed"), now=NOW)
    give("carol", 7, expires_at=NOW + timedelta(hours=1))
    with as_owner():
        CreditLot.objects.update(expires_at=NOW)
        Balance.objects.filter(pk="carol").update(next_expiry=NOW)
    ledger.ensure_balance("carol", origin=Origin("system"))
    summed()

    yesterday, day = dashboard_figures.per_day(2, today=TODAY)

    assert yesterday == (TODAY - ONE_DAY, *NOTHING)
    assert day._asdict() == {
        "start": TODAY,
        "sold": 500,
        "spent": 30,
        "refunded": 5,
        "gifted": 10,
        "granted": 107,
        "clawed_back": 50,
        "expired": 7,
        "transactions": 11,
        "purchases": 1,
        "sold_cents": 500,
        "returned_cents": 50,
    }
    assert day.revenue_cents == 450


def test_a_day_says_what_expired() -> None:
    give("alice", 5)
    give("alice", 10, expires_at=NOW + ONE_DAY)
    then = NOW + 2 * ONE_DAY
    before = dashboard_figures.outstanding(now=then)

    assert list(credit_expiry.expire_due(now=then, limit=9)) == ["expired"]
    summed(TODAY, then.date())

    (day,) = dashboard_figures.per_day(1, today=then.date())
    assert (day.expired, day.spent, day.clawed_back) == (10, 0, 0)
    after = dashboard_figures.outstanding(now=then)
    assert (before.owed, before.expired) == (5, 10)
    assert (after.owed, after.expired) == (5, 0)


def test_days_without_anything_are_zeros() -> None:
    days = dashboard_figures.per_day(30, today=date(2026, 3, 1))

    assert len(days) == 30
    assert days[0] == (date(2026, 1, 31), *NOTHING)
    assert days[-1] == (date(2026, 3, 1), *NOTHING)


def test_months_are_calendar_months() -> None:
    give("alice", 100)
    moments = [(2025, 3, 1), (2025, 3, 31), (2025, 4, 1), (2026, 2, 28), (2025, 2, 28)]
    for moment in moments:
        spend("alice", 1, at=datetime(*moment, 23, 59, tzinfo=UTC))
        summed(date(*moment), date(*moment))

    months = dashboard_figures.per_month(12, today=date(2026, 2, 28))

    assert [month.start for month in months] == [
        *(date(2025, month, 1) for month in range(3, 13)),
        date(2026, 1, 1),
        date(2026, 2, 1),
    ]
    assert [int(month.spent) for month in months] == [2, 1, *[0] * 9, 1]
    assert dashboard_figures.per_month(1, today=date(2026, 12, 31))[0].start == date(2026, 12, 1)


def test_apps_and_operations_by_what_was_spent() -> None:
    give("alice", 100)
    spend("alice", 2)
    spend("alice", 9, app_id="picture")
    ledger.spend("alice", Priced("ai_chat_gpt4"), memo=Memo("chat"), origin=Origin("user"))
    spend("alice", 50, app_id="old", at=NOW - 30 * ONE_DAY)
    summed(TODAY - 30 * ONE_DAY)

    apps = dashboard_figures.by_app(30, today=TODAY)
    operations = dashboard_figures.by_operation(30, today=TODAY)

    assert apps == [("picture", 9, 1), ("chat", 7, 2)]
    assert operations == [("", 11, 2), ("ai_chat_gpt4", 5, 1)]
    assert dashboard_figures.by_app(31, today=TODAY, limit=1) == [("old", 50, 1)]


def test_top_spenders_are_those_of_the_span() -> None:
    for user_id, amount in (("alice", 5), ("bob", 20), ("carol", 7)):
        give(user_id, 100)
        spend(user_id, amount)
    spend("alice", 3, app_id="picture")
    spend("carol", 90, at=NOW - 30 * ONE_DAY)

    top = dashboard_figures.top_spenders(30, today=TODAY, limit=2)

    assert top == [("bob", 20, 1), ("alice", 8, 2)]


def test_open_reservations_are_counted_with_what_they_hold() -> None:
    give("alice", 100)
    none = dashboard_figures.open_reservations(now=NOW)
    oldest = hold("alice", 4)
    hold("alice", 6)
    with as_owner():
        Reservation.objects.filter(pk=oldest.pk).update(
            created_at=NOW - ONE_DAY, expires_at=NOW - timedelta(hours=1)
        )

    found = dashboard_figures.open_reservations(now=NOW)

    assert none == OpenReservations(0, Decimal(0), None, 0)
    assert found == OpenReservations(2, Decimal(10), NOW - ONE_DAY, 1)


def test_jobs_say_how_their_last_run_went() -> None:
    def broken(now: datetime) -> Any:
        yield "done"
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError):
        worker.run(Job("broken", broken), now=NOW)
    worker.run(Job("sound", lambda _: ["done", "done"]), now=NOW)

    results = dashboard_figures.job_results()

    assert set(results) == {"broken", "sound"}
    assert results["broken"] == (
        "broken",
        NOW,
        None,
        NOW,
        {"done": 1},
        "ZeroDivisionError: a defect",
        [],
    )
    assert results["sound"] == ("sound", NOW, NOW, None, {"done": 2}, "", [])
    assert [results[name].went_well for name in ("broken", "sound")] == [False, True]


def test_each_figure_is_one_query() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        dashboard_figures.outstanding(now=NOW)
        dashboard_figures.per_day(30, today=TODAY)
        dashboard_figures.per_month(12, today=TODAY)
        dashboard_figures.by_app(30, today=TODAY)
        dashboard_figures.by_operation(30, today=TODAY)
        dashboard_figures.top_spenders(30, today=TODAY)
        dashboard_figures.open_reservations(now=NOW)
        dashboard_figures.job_results()

    assert len(queries) == 8
    assert not any("credits.transactions" in query["sql"].replace('"', "") for query in queries)


def test_a_check_by_command_is_on_record_and_leaves_the_night_to_the_worker() -> None:
    give("alice", 1)
    night = date(2026, 11, 1)
    JobRun.objects.create(name="check_ledger", night=night, claimed_until=NOW)

    call_command("check_ledger")

    run = JobRun.objects.get()
    assert run.result == {"batches": 2}
    assert run.succeeded_at is not None
    assert (run.night, run.claimed_until) == (night, NOW)


def test_a_check_of_one_user_is_not_that_of_all() -> None:
    give("alice", 1)

    call_command("check_ledger", "--user", "alice")

    assert not JobRun.objects.exists()
