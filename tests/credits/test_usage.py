"""A user's spending by app and UTC day."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from credits.ledger import ledger, reservations, usage
from credits.ledger.posting import Memo, Origin
from credits.models import UsageStat
from tests.api import Caller, use
from tests.factories import give, hold, spend

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPAN = "usage?from=2026-11-01&to=2026-11-30"


def day(
    iso: str, credits_used: float, transactions: int, app_id: str = "chat"
) -> dict[str, object]:
    return {
        "date": iso,
        "appId": app_id,
        "creditsUsed": credits_used,
        "transactions": transactions,
    }


def test_usages_are_summed_by_app_and_day(alice: Caller) -> None:
    give("alice", 100)
    for amount in (2, 0.1, 10):
        spend("alice", amount, at=NOON)
    spend("alice", 1, app_id="picture", at=NOON)
    spend("alice", 5, at=NOON - timedelta(days=1))

    answer = alice.get(SPAN)

    assert answer.status_code == 200
    assert answer.json() == [
        day("2026-11-22", 12.1, 3),
        day("2026-11-22", 1, 1, "picture"),
        day("2026-11-21", 5, 1),
    ]


def test_a_day_ends_at_midnight_utc(alice: Caller) -> None:
    """The earlier service used the days of the server's time zone."""
    give("alice", 10)
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    tokyo = timezone(timedelta(hours=9))
    spend("alice", 1, at=midnight - timedelta(milliseconds=1))
    spend("alice", 2, at=midnight)
    spend("alice", 4, at=datetime(2026, 11, 23, 8, 59, tzinfo=tokyo))

    answer = alice.get(SPAN)

    assert answer.json() == [day("2026-11-23", 2, 1), day("2026-11-22", 5, 2)]


def test_a_spend_counts_today(alice: Caller) -> None:
    give("alice", 10)
    before = datetime.now(UTC).date()

    alice.post("use", use(2.5))

    (row,) = alice.get("usage").json()
    assert row["date"] in {before.isoformat(), datetime.now(UTC).date().isoformat()}
    assert (row["appId"], row["creditsUsed"], row["transactions"]) == ("chat", 2.5, 1)


def test_a_replay_and_a_refusal_count_nothing(alice: Caller) -> None:
    give("alice", 10)

    for _ in range(2):
        alice.post("use", use(4, idempotencyKey="k1"))
    alice.post("use", use(7))

    assert [row["transactions"] for row in alice.get("usage").json()] == [1]


def test_a_commit_counts_as_usage_and_a_hold_does_not(alice: Caller) -> None:
    give("alice", 100)
    held = hold("alice", 8)
    hold("alice", 5)
    reservations.commit(held.pk, amount=Decimal("2.5"), origin=Origin("service", at=NOON))

    answer = alice.get(SPAN)

    assert answer.json() == [day("2026-11-22", 2.5, 1, "research")]


def test_what_is_given_back_does_not_change_what_was_used(alice: Caller) -> None:
    give("alice", 100)
    taken = spend("alice", 8, at=NOON).transaction
    ledger.refund("alice", Decimal(3), memo=Memo("chat"), origin=Origin("service"))
    ledger.reverse(taken.pk, memo=Memo(), origin=Origin("operator:anna"))

    answer = alice.get(SPAN)

    assert answer.json() == [day("2026-11-22", 8, 1)]


def test_the_usage_of_others_is_never_shown(alice: Caller) -> None:
    give("bob", 10)
    spend("bob", 1, at=NOON)

    assert alice.get(SPAN).json() == []


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        (date(2026, 11, 21), date(2026, 11, 22), [22, 21]),
        (date(2026, 11, 22), date(2026, 11, 22), [22]),
        (None, date(2026, 11, 22), [22, 21, 20]),
        (date(2026, 11, 22), None, [23, 22]),
        (None, None, [23, 22, 21, 20]),
    ],
)
def test_both_ends_of_a_span_belong_to_it(
    first: date | None, last: date | None, days: list[int]
) -> None:
    give("alice", 100)
    for back in (0, 1, 2, 3, 34):
        spend("alice", 1, at=datetime(2026, 11, 23, 12, tzinfo=UTC) - timedelta(days=back))

    rows = usage.of_user("alice", first=first, last=last, today=date(2026, 11, 23))

    assert [row.date.day for row in rows] == days
    assert UsageStat.objects.count() == 5


@pytest.mark.parametrize(
    "query",
    [
        "from=2025-11-22&to=2026-11-22",
        "from=2024-01-01&to=2025-01-01",
        "from=0001-01-01&to=0001-01-02",
        "to=0001-01-02",
        "from=9999-12-31&to=9999-12-31",
        "from=2999-01-01",
    ],
)
def test_a_span_may_be_as_long_as_a_leap_year(alice: Caller, query: str) -> None:
    answer = alice.get(f"usage?{query}")

    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from=2026-11-23&to=2026-11-22", "from must not be after to"),
        (
            "from=2025-11-21&to=2026-11-23",
            "from must be at most 366 days before to (2026-11-23)",
        ),
    ],
)
def test_a_longer_or_backward_span_is_refused(alice: Caller, query: str, message: str) -> None:
    answer = alice.get(f"usage?{query}")

    assert answer.status_code == 400
    assert answer.json() == {
        "statusCode": 400,
        "message": message,
        "code": "invalid_span",
        "details": {"from": [message]},
    }


@pytest.mark.parametrize("field", ["from", "to"])
@pytest.mark.parametrize(
    "value", ["", "yesterday", "2026-02-30", "2026-11-22T00:00:00Z", "20261", "%00"]
)
def test_an_invalid_day_is_refused_by_name(alice: Caller, field: str, value: str) -> None:
    answer = alice.get(f"usage?{field}={value}")

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [field]
