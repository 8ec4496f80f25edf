"""Daily totals: summed per day, at any time, any number of times, and equal to the ledger."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from threading import Event

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Sum

from credits import worker
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import DailyRevenue, DailyTotal, MoneyBack, Transaction
from credits.payments import money_back
from credits.reporting import daily_totals
from tests.api import at_once
from tests.credits.test_money_back import paid, went_back
from tests.factories import gift, give, redeem, spend
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TODAY = datetime.now(UTC).date()
ONE_DAY = timedelta(days=1)


def totals(day: date = TODAY) -> dict[tuple[str, str, str], tuple[float, float, int]]:
    """Return a day's totals: (in, out, count) by (type, app, operation)."""
    return {
        (one.type, one.app_id, one.operation): (
            float(one.credits_in),
            float(one.credits_out),
            one.transactions,
        )
        for one in DailyTotal.objects.filter(date=day)
    }


def sum_today() -> None:
    assert list(daily_totals.sum_days(TODAY, TODAY)) == [TODAY]


def sum_days(*options: str) -> str:
    out = StringIO()
    call_command("sum_days", *options, stdout=out)
    return out.getvalue().strip()


def test_a_day_is_summed_by_type_app_and_operation() -> None:
    give("alice", 100)
    give("bob", "0.5")
    spend("alice", 2)
    spend("alice", "0.1")
    spend("alice", 1, app_id="picture")
    ledger.spend(
        "alice", Priced("ai_chat_gpt4", 2), memo=Memo("chat", "priced"), origin=Origin("user")
    )
    redeem(gift("alice", 10), "bob")
    ledger.adjust("alice", Decimal(3), memo=Memo(), origin=Origin("operator:olga"))
    ledger.adjust("alice", Decimal(-1), memo=Memo(), origin=Origin("operator:olga"))

    sum_today()

    assert totals() == {
        ("grant", "system", ""): (100.5, 0, 2),
        ("usage", "chat", ""): (0, 2.1, 2),
        ("usage", "chat", "ai_chat_gpt4"): (0, 10, 1),
        ("usage", "picture", ""): (0, 1, 1),
        ("gift", "gifts", ""): (10, 10, 2),
        ("adjustment", "system", ""): (3, 1, 2),
    }


def test_summing_again_changes_nothing_and_counts_what_came_since() -> None:
    give("alice", 100)
    sum_today()
    before = totals()
    sum_today()
    again = totals()
    spend("alice", 2)

    sum_today()

    assert before == again == {("grant", "system", ""): (100, 0, 1)}
    assert totals() == {**before, ("usage", "chat", ""): (0, 2, 1)}


def test_days_are_those_of_utc() -> None:
    give("alice", 100)
    midnight = datetime(2026, 11, 2, tzinfo=UTC)
    for at in (midnight - timedelta(milliseconds=1), midnight, midnight + ONE_DAY):
        spend("alice", 1, at=at)

    days = list(daily_totals.sum_days(date(2026, 11, 1), date(2026, 11, 3)))

    assert days == [date(2026, 11, day) for day in (1, 2, 3)]
    assert [totals(day) for day in days] == [{("usage", "chat", ""): (0, 1, 1)}] * 3


def test_an_obsolete_group_is_deleted() -> None:
    give("alice", 100)
    DailyTotal.objects.create(
        date=TODAY, type="usage", app_id="gone", operation="", credits_out=5, transactions=1
    )
    DailyTotal.objects.create(
        date=TODAY - ONE_DAY,
        type="usage",
        app_id="kept",
        operation="",
        credits_out=5,
        transactions=1,
    )

    sum_today()

    assert totals() == {("grant", "system", ""): (100, 0, 1)}
    assert len(totals(TODAY - ONE_DAY)) == 1


def test_the_money_is_summed_by_the_day_it_moved() -> None:
    first, second = paid(cents=499), paid(cents=1000)
    fact = went_back(first, 100)
    money_back.record(fact, now=NOON - 2 * ONE_DAY)
    money_back.record(fact._replace(state="returned", status="failed"), now=NOON - ONE_DAY)
    money_back.record(fact._replace(state="returned", status="failed"), now=NOON)
    money_back.record(went_back(second, 1000, kind="dispute", state="open"), now=NOON)
    money_back.record(went_back(second, 400), now=NOON)

    list(daily_totals.sum_days(TODAY - 2 * ONE_DAY, TODAY))

    assert list(DailyRevenue.objects.order_by("date").values_list()) == [
        (TODAY - 2 * ONE_DAY, 0, 0, 100, 0),
        (TODAY - ONE_DAY, 0, 0, 0, 100),
        (TODAY, 2, 1499, 400, 0),
    ]


def test_money_of_foreign_payments_is_not_counted() -> None:
    foreign = went_back(paid(), 100, intent_id="pi_foreign")
    money_back.record(foreign, now=NOON)

    sum_today()

    assert MoneyBack.objects.get().gone_at == NOON
    assert DailyRevenue.objects.get().gone_cents == 0


@pytest.mark.parametrize(
    ("constraint", "wrong"),
    [
        ("return_moved_says_when", {"gone_at": None}),
        ("return_moved_says_when", {"state": "closed", "taken": 0, "takes": 0}),
        ("return_that_came_back_says_when", {"returned_at": NOON}),
        ("return_that_came_back_says_when", {"reinstated_cents": 100, "state": "returned"}),
        ("return_state_follows_the_cents", {"state": "returned"}),
    ],
)
def test_a_return_without_its_moment_is_refused(constraint: str, wrong: dict[str, object]) -> None:
    money_back.record(went_back(paid(), 100), now=NOON)

    with pytest.raises(IntegrityError, match=f'constraint "{constraint}"'), transaction.atomic():
        MoneyBack.objects.update(**wrong)

    assert MoneyBack.objects.get().gone_at == NOON


def test_the_sums_of_all_days_equal_the_ledger() -> None:
    give("alice", 100)
    give("bob", "7.7777")
    for days in (40, 3, 1):
        spend("alice", "1.0001", at=NOON - days * ONE_DAY)
    redeem(gift("alice", 10), "bob")
    money_back.record(went_back(paid(), 100), now=NOON)

    printed = sum_days("--all")

    assert printed == f"41 days summed, {TODAY - 40 * ONE_DAY} to {TODAY}."
    net = Sum(F("credits_in") - F("credits_out"))
    assert DailyTotal.objects.aggregate(
        net=net, count=Sum("transactions")
    ) == Transaction.objects.aggregate(net=Sum("amount")) | {"count": Transaction.objects.count()}


def due(now: datetime) -> list[date]:
    return [day for day, summed in daily_totals.sum_due(now=now) if summed]


def test_the_job_sums_from_the_day_before_the_newest_sum() -> None:
    give("alice", 100)
    for days in (5, 3, 2):
        spend("alice", 1, at=NOON - days * ONE_DAY)
    first_time = due(NOON)
    spend("alice", 1, at=NOON + ONE_DAY)
    spend("alice", 1, at=NOON - ONE_DAY)

    second_time = due(NOON + ONE_DAY)

    assert first_time == [TODAY - days * ONE_DAY for days in (5, 4, 3, 2, 1, 0)]
    assert second_time == [TODAY - ONE_DAY, TODAY, TODAY + ONE_DAY]
    assert totals(TODAY - ONE_DAY) == totals(TODAY + ONE_DAY) == {("usage", "chat", ""): (0, 1, 1)}


def test_without_a_ledger_there_is_today_and_nothing_in_it() -> None:
    assert due(NOON) == [TODAY]
    assert due(NOON) == [TODAY - ONE_DAY, TODAY]
    assert due(NOON - 9 * ONE_DAY) == [TODAY - 9 * ONE_DAY]
    assert not DailyTotal.objects.exists()


def test_the_worker_sums_and_a_day_is_a_step() -> None:
    spend_day = NOON - 3 * ONE_DAY
    give("alice", 1)
    spend("alice", 1, at=spend_day)
    stop = Event()
    stop.set()

    interrupted = worker.run(worker.jobs()["sum_days"], now=NOON, stop=stop)
    outcomes = worker.run(worker.jobs()["sum_days"], now=NOON)

    assert interrupted == {"summed": 1}
    assert outcomes == {"summed": 5}  # also the day before the last summed one


def test_8_processes_may_sum_one_day_at_once(committed: None) -> None:
    give("alice", 100)

    def act(index: int) -> None:
        spend("alice", 1)
        sum_today()

    at_once(8, act)
    sum_today()

    assert totals() == {("grant", "system", ""): (100, 0, 1), ("usage", "chat", ""): (0, 8, 8)}
    assert DailyRevenue.objects.count() == 1


def test_a_span_of_days_is_summed_by_command() -> None:
    give("alice", 100)

    printed = [
        sum_days(),
        sum_days("--from", "2026-11-01", "--to", "2026-11-03"),
        sum_days("--from", str(TODAY)),
    ]

    assert printed == [
        "sum_days: 1 summed.",
        "3 days summed, 2026-11-01 to 2026-11-03.",
        f"1 day summed, {TODAY} to {TODAY}.",
    ]


def test_all_of_an_empty_ledger_is_today() -> None:
    assert sum_days("--all") == f"1 day summed, {TODAY} to {TODAY}."


@pytest.mark.parametrize(
    "options",
    [
        ["--all", "--from=2026-11-01"],
        ["--all", "--to=2026-11-01"],
        ["--to=2026-11-01"],
        ["--from=2026-11-02", "--to=2026-11-01"],
        ["--from=yesterday"],
    ],
)
def test_an_invalid_span_is_refused(options: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("sum_days", *options)

    assert not DailyRevenue.objects.exists()


def test_a_day_can_be_found_without_reading_the_ledger() -> None:
    with connection.cursor() as cursor:
        # Costs on an empty table are meaningless. With the alternatives disabled, the plan shows
        # whether the index by time fits the query.
        with as_owner():
            cursor.execute("DROP INDEX credits.transaction_by_app_idx")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT FROM credits.transactions "
            "WHERE created_at >= '2026-11-01' AND created_at < '2026-11-02'"
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "transaction_created_idx" in plan
