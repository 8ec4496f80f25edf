"""The import of purchases, grants, idempotency keys and subscriptions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from credits.models import (
    Balance,
    IdempotencyKey,
    Package,
    Purchase,
    StripeCustomer,
    SyncSubscription,
    Transaction,
)
from tests.api import Caller, use
from tests.importing import available, named, run
from tests.legacy import BEGIN, Earlier

pytestmark = pytest.mark.usefixtures("committed", "owner")


def test_purchases_are_credited_once_and_doubles_are_named(
    source: str, earlier: Earlier, report: Path
) -> None:
    paid, twice = earlier.purchase("alice"), earlier.purchase("alice")
    nameless, open_one = earlier.purchase("alice"), earlier.purchase("bob")
    first = earlier.pay(paid)
    second, again = earlier.pay(twice), earlier.pay(twice)
    third = earlier.pay(nameless, named=False)
    earlier.pay(nameless, named=False)
    failed = earlier.purchase("carol")
    fourth = earlier.pay(failed)
    failed.update(status="failed")
    earlier.planted.add(("purchase status", "carol", failed["id"]))
    lost = earlier.purchase("dora")
    lost.update(status="completed", completed_at=earlier.now)
    earlier.planted.add(("purchase status", "dora", lost["id"]))
    stray = earlier.move("erin", "purchase", 70)
    earlier.planted.add(("unexplained credit", "erin", stray["id"]))
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"alice": 2500, "carol": 500, "erin": 70}
    entries = {str(row.pk): str(row.transaction_id) for row in Purchase.objects.all() if row.paid}
    assert entries == {
        paid["id"]: first["id"],
        twice["id"]: second["id"],
        nameless["id"]: third["id"],
        failed["id"]: fourth["id"],
    }
    assert Transaction.objects.get(pk=again["id"]).cause is None
    assert Transaction.objects.get(pk=first["id"]).cause == f"purchase:{paid['id']}"
    states = {str(row.pk): row.status for row in Purchase.objects.all()}
    assert states[open_one["id"]] == "pending"
    assert states[failed["id"]] == "completed"
    quarantined = Purchase.objects.get(quarantined_at__isnull=False)
    assert (str(quarantined.pk), quarantined.status) == (lost["id"], "pending")
    assert not Balance.objects.filter(pk="bob").exists()
    assert Package.objects.get().name == "Starter"
    customers = StripeCustomer.objects.values_list("user_id", "stripe_customer_id", "email")
    assert set(customers) == {
        (user, f"cus_{user}", f"{user}@example.test") for user in ("alice", "bob", "carol", "dora")
    }
    assert named(report) == earlier.planted


def test_a_grant_is_known_by_its_reference(
    source: str, earlier: Earlier, report: Path, service: Caller
) -> None:
    earlier.grant("alice", 10, "feedback-1")
    earlier.grant_twice("bob", 4)
    earlier.flush(source)
    run(source, "--apply", report=report)
    body = {"userId": "alice", "amount": 10, "reason": "feedback", "referenceId": "feedback-1"}

    answer = service.post("grant", body).json()

    assert answer["alreadyGranted"] is True
    assert available() == {"alice": 10, "bob": 8}
    assert named(report) == earlier.planted


def test_a_key_of_the_earlier_service_spends_no_second_time(
    source: str, earlier: Earlier, report: Path, service: Caller
) -> None:
    earlier.grant("alice", 10)
    usage = earlier.use("alice", 2, idempotency_key="k1")
    earlier.use("alice", 3, idempotency_key="")
    earlier.flush(source)
    run(source, "--apply", report=report)

    again = service.post("use", use(2, userId="alice", idempotencyKey="k1"))
    other = service.post("use", use(5, userId="alice", idempotencyKey="k1"))

    assert again.json()["transaction"]["id"] == usage["id"]
    assert other.status_code == 409
    assert available() == {"alice": 5}
    assert IdempotencyKey.objects.count() == 1


def test_paid_for_periods_stay(source: str, earlier: Earlier, report: Path) -> None:
    for user in ("active", "stopped", "gifted", "paused", "odd"):
        earlier.grant(user, 100)
    due = datetime(2027, 2, 28, 12, tzinfo=UTC)
    earlier.subscribe("active", next_charge_at=due)
    stopped = earlier.subscribe("stopped", active=False, next_charge_at=None)
    gifted = earlier.subscribe(
        "gifted", next_charge_at=None, is_gifted=True, gifted_by="admin", gifted_at=BEGIN
    )
    earlier.subscribe("paused", active=False, paused_at=BEGIN)
    earlier.subscribe("odd", next_charge_at=None)
    earlier.planted.add(("subscription", "odd", None))
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    rows = {row.pk: row for row in SyncSubscription.objects.all()}
    assert {user: row.renews for user, row in rows.items()} == {
        "active": True,
        "stopped": False,
        "gifted": False,
        "paused": False,
        "odd": False,
    }
    assert rows["active"].paid_until == due
    assert rows["active"].paid_from == earlier.transactions_of("active")[-1]["created_at"]
    assert rows["stopped"].paid_until == stopped["activated_at"] + timedelta(days=31)
    assert rows["gifted"].paid_until == gifted["activated_at"] + timedelta(days=31)
    assert (rows["gifted"].gifted_by, rows["gifted"].active) == ("admin", True)
    assert rows["paused"].paused_at == BEGIN
    assert rows["active"].anchor_day == 28
    assert named(report) == earlier.planted


def test_a_subscription_changed_there_since_is_changed_here(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("alice", 100)
    row = earlier.subscribe("alice")
    earlier.flush(source)
    run(source, "--apply", report=report)
    row.update(active=False, next_charge_at=None, updated_at=earlier.tick())
    earlier.planted.remove(("subscription price", "alice", None))
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    subscription = SyncSubscription.objects.get()
    assert subscription.renews is False
    assert subscription.paid_until == row["activated_at"] + timedelta(days=31)


def test_what_was_done_there_and_here_is_named(
    source: str, earlier: Earlier, report: Path, service: Caller
) -> None:
    earlier.grant("alice", 10, "first")
    earlier.flush(source)
    run(source, "--apply", report=report)
    body = {"userId": "alice", "amount": 4, "reason": "feedback", "referenceId": "second"}
    service.post("grant", body)
    again = earlier.grant("alice", 4, "second")
    earlier.planted.add(("double credit", "alice", again["id"]))
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"alice": 18}
    assert named(report) == earlier.planted


def test_packages_and_unpaid_purchases_follow_the_source(
    source: str, earlier: Earlier, report: Path
) -> None:
    failing, cancelled = earlier.purchase("alice"), earlier.purchase("alice")
    earlier.flush(source)
    run(source, "--apply", report=report)
    failing.update(status="failed")
    cancelled.update(status="cancelled")
    earlier.package().update(name="Small", active=False, updated_at=earlier.tick())
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    statuses = {str(purchase.pk): purchase.status for purchase in Purchase.objects.all()}
    assert statuses == {failing["id"]: "failed", cancelled["id"]: "cancelled"}
    assert Package.objects.values_list("name", "active").get() == ("Small", False)
    assert not Balance.objects.exists()


def test_rows_that_no_rule_here_holds_are_named(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("alice", 10)
    empty = earlier.put(
        "credits.packages",
        name="Free",
        credits=5,
        price_euro_cents=0,
        created_at=earlier.now,
        updated_at=earlier.now,
    )
    purchase = earlier.purchase("alice")
    purchase.update(package_id=empty["id"])
    reservation = earlier.reserve("alice", 0)
    earlier.planted |= {
        ("not imported", None, empty["id"]),
        ("not imported", "alice", purchase["id"]),
        ("not imported", "alice", reservation["id"]),
    }
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"alice": 10}
    assert not Package.objects.exists()
    assert named(report) == earlier.planted


def test_a_user_whose_balance_is_gone_has_none_here(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("alice", 10)
    earlier.balances.clear()
    earlier.planted |= {("difference", "alice", None), ("totals", "alice", None)}
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"alice": 0}
    assert named(report) == earlier.planted
