"""Renewal of Cloud Sync: once per period, on the right day, or a pause with a message."""

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from credits import ledger
from credits.catalogue import catalogue
from credits.catalogue.catalogue import Price
from credits.models import Balance, OutboxMessage, StripeCustomer, SyncSubscription, Transaction
from credits.sync import cloud_sync, renewals
from tests.api import Caller
from tests.factories import due_subscribers, give, subscribe

pytestmark = pytest.mark.django_db
JANUARY_31 = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)
FEBRUARY_28 = datetime(2027, 2, 28, 9, 30, tzinfo=UTC)
MARCH_31 = datetime(2027, 3, 31, 9, 30, tzinfo=UTC)


def renew(now: datetime) -> list[str]:
    return list(renewals.renew_due(now=now, limit=1000))


def paid_until(user_id: str = "alice") -> datetime | None:
    return SyncSubscription.objects.get(pk=user_id).paid_until


def posted(user_id: str = "alice") -> Decimal:
    return Balance.objects.get(pk=user_id).posted


def charges() -> int:
    return Transaction.objects.filter(operation="cloud_sync", actor="system").count()


def test_a_renewal_charges_the_next_period_from_the_end_of_the_last() -> None:
    give("alice", 100)
    subscribe("alice", at=JANUARY_31)

    early = renew(FEBRUARY_28 - timedelta(microseconds=1))
    outcomes = [renew(FEBRUARY_28 + timedelta(hours=3)) for _ in range(2)]

    assert (early, outcomes) == ([], [["charged"], []])
    assert paid_until() == MARCH_31
    entry = Transaction.objects.get(actor="system", type="usage")
    assert entry.cause == "sync:alice:2027-02-28T09:30:00+00:00"
    assert entry.metadata == {
        "type": "sync_renewal",
        "interval": "monthly",
        "from": "2027-02-28T09:30:00.000Z",
        "until": "2027-03-31T09:30:00.000Z",
    }
    assert posted() == 90


def test_fault_8_an_overdue_subscription_pays_the_current_period_and_keeps_its_day() -> None:
    give("alice", 100)
    subscribe("alice", at=JANUARY_31)
    late = FEBRUARY_28 + timedelta(days=95)

    outcomes = [renew(late), renew(late)]

    assert outcomes == [["charged"], []]
    subscription = SyncSubscription.objects.get()
    assert subscription.paid_from == datetime(2027, 5, 31, 9, 30, tzinfo=UTC)
    assert subscription.paid_until == datetime(2027, 6, 30, 9, 30, tzinfo=UTC)
    assert posted() == 90
    assert renew(datetime(2027, 6, 30, 9, 30, tzinfo=UTC)) == ["charged"]
    assert paid_until() == datetime(2027, 7, 31, 9, 30, tzinfo=UTC)


def test_a_renewal_takes_the_price_of_its_day() -> None:
    give("alice", 100)
    subscribe("alice", at=JANUARY_31)
    catalogue.set_price("cloud_sync", Price(Decimal(7)), actor="operator:anna", now=FEBRUARY_28)

    renew(FEBRUARY_28)

    assert posted() == 88
    entry = Transaction.objects.get(actor="system", type="usage")
    assert (entry.amount, entry.unit_cost) == (-7, 7)


@pytest.mark.parametrize(
    ("language", "subject", "start"),
    [
        ("", "Cloud Sync wurde pausiert", "Deine Credits"),
        ("de", "Cloud Sync wurde pausiert", "Deine Credits"),
        ("en", "Cloud Sync was paused", "Your balance"),
    ],
)
def test_without_the_credits_sync_is_paused_and_the_user_is_told(
    language: str, subject: str, start: str
) -> None:
    give("alice", 8)
    subscribe("alice", at=JANUARY_31)
    SyncSubscription.objects.update(language=language)

    outcomes = [renew(FEBRUARY_28), renew(MARCH_31)]

    assert outcomes == [["paused"], []]
    subscription = SyncSubscription.objects.get()
    assert (subscription.active, subscription.paused_at) == (False, FEBRUARY_28)
    assert subscription.next_charge_at is None
    assert posted() == 3
    body = OutboxMessage.objects.get().body
    text = body.pop("body")
    assert text.startswith(start)
    assert " 5 " in text
    assert body == {
        "channel": "email",
        "appId": "sync",
        "userId": "alice",
        "subject": subject,
        "data": {"type": "sync_paused", "interval": "monthly", "requiredCredits": "5"},
    }


def test_the_mail_goes_to_the_address_that_the_user_bought_with() -> None:
    give("alice", 8)
    StripeCustomer.objects.create(
        user_id="alice", email="alice@example.test", created_at=JANUARY_31
    )
    subscribe("alice", at=JANUARY_31)

    renew(FEBRUARY_28)

    assert OutboxMessage.objects.get().body["recipient"] == "alice@example.test"


def test_a_paused_subscription_resumes_by_activation() -> None:
    give("alice", 8)
    subscribe("alice", at=JANUARY_31)
    renew(FEBRUARY_28)
    give("alice", 2)

    resumed = subscribe("alice", at=datetime(2027, 3, 15, tzinfo=UTC))

    assert (resumed.charged, resumed.next_charge_at) == (5, datetime(2027, 4, 15, tzinfo=UTC))
    assert cloud_sync.status("alice").paused_at is None
    assert posted() == 0


def test_fault_16_a_due_subscriber_without_a_balance_is_paused(service: Caller) -> None:
    SyncSubscription.objects.create(
        user_id="ghost",
        renews=True,
        anchor_day=31,
        paid_from=datetime(2025, 12, 31, tzinfo=UTC),
        paid_until=datetime(2026, 1, 31, tzinfo=UTC),
        created_at=JANUARY_31,
        updated_at=JANUARY_31,
    )

    answer = service.post("/api/v1/internal/sync/charge-recurring")

    assert answer.json() == {"charged": 0, "paused": 1, "errors": 0, "total": 1}
    assert cloud_sync.status("ghost").active is False
    assert OutboxMessage.objects.get().user_id == "ghost"
    assert not Balance.objects.exists()


def test_a_renewal_that_cannot_be_priced_stays_due_and_holds_up_nobody(service: Caller) -> None:
    due_subscribers(2, since=datetime(2026, 1, 31, tzinfo=UTC))
    catalogue.deactivate("cloud_sync", actor="operator:anna", now=JANUARY_31)

    failed = service.post("/api/v1/internal/sync/charge-recurring").json()
    catalogue.set_price("cloud_sync", Price(Decimal(5)), actor="operator:anna", now=FEBRUARY_28)
    worked = service.post("/api/v1/internal/sync/charge-recurring").json()

    assert failed == {"charged": 0, "paused": 0, "errors": 2, "total": 2}
    assert worked == {"charged": 2, "paused": 0, "errors": 0, "total": 2}
    assert charges() == 2


def test_one_run_renews_at_most_its_limit_the_oldest_first() -> None:
    due_subscribers(2, since=FEBRUARY_28)
    SyncSubscription.objects.filter(pk="syncer-0001").update(
        paid_until=FEBRUARY_28 - timedelta(days=1)
    )

    outcomes = list(renewals.renew_due(now=FEBRUARY_28, limit=1))

    assert outcomes == ["charged"]
    assert (posted("syncer-0000"), posted("syncer-0001")) == (5, 0)


@pytest.mark.slow
def test_two_years_of_every_month_end_for_every_interval() -> None:
    starts = [month_end(2027, month) for month in range(3, 15)]
    intervals = {"monthly": 1, "quarterly": 3, "yearly": 12}
    agreed: dict[str, list[datetime]] = {}
    for start in starts:
        for interval, months in intervals.items():
            user_id = f"{interval}-{start:%m}"
            give(user_id, 1000)
            subscribe(user_id, at=start, interval=interval)
            agreed[user_id] = [
                month_end(start.year, start.month + step, day=start.day)
                for step in range(0, 25, months)
            ]

    clock = starts[0]
    while clock <= month_end(2030, 2):
        renew(clock)
        clock += timedelta(days=1)

    for user_id, moments in agreed.items():
        entries = Transaction.objects.filter(user_id=user_id, operation="cloud_sync")
        paid = [
            (entry.metadata["from"], entry.metadata["until"])  # type: ignore[index]
            for entry in entries.order_by("number")
        ][: len(moments) - 1]
        texts = [f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in moments]
        assert paid == list(pairwise(texts))


def month_end(year: int, month: int, *, day: int = 31) -> datetime:
    """Return the `day` of a month, or its last day. Months continue after December."""
    years, month = divmod(month - 1, 12)
    last = monthrange(year + years, month + 1)[1]
    return datetime(year + years, month + 1, min(day, last), 9, 30, tzinfo=UTC)


Step = tuple[Any, str, bool]


@pytest.mark.parametrize("owned", [100, 5])
@pytest.mark.parametrize(
    "step",
    [
        (ledger, "spend", False),
        (ledger, "spend", True),
        (cloud_sync, "save", False),
        (cloud_sync, "save", True),
    ],
    ids=["before the charge", "after the charge", "before the new period", "before the commit"],
)
def test_a_crash_between_two_steps_of_a_renewal_and_another_run_charge_once(
    monkeypatch: pytest.MonkeyPatch, step: Step, owned: int
) -> None:
    give("alice", owned)
    subscribe("alice", at=JANUARY_31)
    with monkeypatch.context() as patch:
        patch.setattr(step[0], step[1], crashing(getattr(step[0], step[1]), after=step[2]))
        with pytest.raises(KeyboardInterrupt):
            renew(FEBRUARY_28)
    crashed: tuple[Any, ...] = (posted(), paid_until(), OutboxMessage.objects.count())

    outcomes = [renew(FEBRUARY_28), renew(FEBRUARY_28)]

    assert crashed == (owned - 5, FEBRUARY_28, 0)
    if owned == 100:
        assert outcomes == [["charged"], []]
        assert (posted(), paid_until(), charges()) == (90, MARCH_31, 1)
    else:
        assert outcomes == [["paused"], []]
        assert (posted(), OutboxMessage.objects.count(), charges()) == (0, 1, 0)


def crashing(real: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """Return `real` with a simulated crash before or after its call."""

    def act(*arguments: Any, **named: Any) -> Any:
        try:
            if after:
                real(*arguments, **named)
        finally:
            raise KeyboardInterrupt

    return act
