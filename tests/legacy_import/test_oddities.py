"""The import of rows that violate the rules here."""

import random
from hashlib import md5
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from django.core.management import CommandError
from psycopg.conninfo import make_conninfo

from credits import labels
from credits.models import (
    Balance,
    Purchase,
    StripeCustomer,
    SyncSubscription,
    Transaction,
)
from tests.api import Caller
from tests.importing import available, chain, findings, named, run
from tests.legacy import Earlier
from tests.running import database_of_the_test

pytestmark = pytest.mark.usefixtures("committed", "owner")


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (" Alice@Example.test", "alice@example.test"),
        ("  ", None),
        (None, None),
        ("\u212aate@example.test", None),
        ("x" * 321, None),
    ],
)
def test_the_address_that_stripe_knew_is_kept_if_it_is_one(
    source: str, earlier: Earlier, report: Path, there: str | None, here: str | None
) -> None:
    earlier.put(
        "credits.stripe_customers",
        key="alice",
        user_id="alice",
        stripe_customer_id="cus_1",
        email=there,
        created_at=earlier.now,
        updated_at=earlier.now,
    )
    earlier.grant("alice", 10)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert StripeCustomer.objects.get().email == here


def test_what_is_not_completed_moved_nothing(source: str, earlier: Earlier, report: Path) -> None:
    earlier.grant("alice", 10)
    earlier.put(
        "credits.transactions",
        user_id="alice",
        type="usage",
        status="failed",
        amount=-3,
        balance_before=10,
        balance_after=7,
        app_id="chat",
        description="",
        created_at=earlier.tick(),
    )
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert chain("alice") == [(1, "grant", 10, 0, 10)]


def test_what_is_given_back_never_makes_a_total_negative(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.move("alice", "refund", 5)
    earlier.use("alice", 2)
    earlier.move("alice", "refund", 7)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    balance = Balance.objects.get()
    assert (balance.total_earned, balance.total_spent, balance.posted) == (10, 0, 10)
    changes = Transaction.objects.order_by("number").values_list("spent_change", flat=True)
    assert list(changes) == [0, 2, -2]


def test_texts_and_ids_that_are_too_long(source: str, earlier: Earlier, report: Path) -> None:
    earlier.grant("alice", 9)
    earlier.use("alice", 1, description="x" * 5000, app_id="y" * 200, idempotency_key="k" * 300)
    for nobody in ("", "u" * 8000):
        earlier.grant(nobody, 4)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    usage = Transaction.objects.get(type="usage")
    assert (usage.description, usage.app_id) == ("x" * 500, "y" * 100)
    assert usage.idempotency_key is None
    assert available() == {"alice": 8}
    refused = [row for row in findings(report) if row["kind"] == "not imported"]
    assert [row["sentence"] for row in refused] == [
        "an id of 0 characters belongs to nobody; the balance was 4",
        "an id of 8000 characters belongs to nobody; the balance was 4",
    ]


def test_rows_with_a_wrong_sign_are_adjustments(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("alice", 10)
    earlier.move("alice", "usage", 5)
    earlier.move("alice", "refund", -2)
    earlier.move("alice", "usage", 0)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert chain("alice") == [
        (1, "grant", 10, 0, 10),
        (2, "adjustment", 5, 10, 15),
        (3, "adjustment", -2, 15, 13),
    ]


def test_an_old_installation_without_some_tables(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.move("alice", "purchase", 20)
    earlier.use("alice", 1)
    earlier.flush(source)
    with psycopg.connect(source) as there:
        there.execute("""
            DROP TABLE credits.reservations, credits.sync_subscriptions, credits.usage_stats;
            DROP SCHEMA gifts CASCADE;
            ALTER TABLE credits.packages DROP COLUMN sort_order;
            ALTER TABLE credits.transactions ALTER type TYPE text;
            DROP TYPE public.transaction_type;
        """)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"alice": 19}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://127.0.0.1:1/none", "The source cannot be read"),
        ("nothing like a URL", "The source cannot be read"),
        (None, "This is not a database of the earlier service"),
    ],
)
def test_an_invalid_source_is_refused(url: str | None, says: str, report: Path) -> None:
    with pytest.raises(CommandError, match=says):
        run(url or database_of_the_test(), report=report)


def test_an_erased_user_stays_erased(
    source: str, earlier: Earlier, report: Path, service: Caller
) -> None:
    earlier.grant("alice", 100)
    earlier.purchase("alice")
    earlier.subscribe("alice")
    earlier.redeem(earlier.gift("alice", 5), "bob")
    earlier.flush(source)
    run(source, "--apply", report=report)
    service.delete("balance/alice")
    balances = available()

    assert run(source, "--apply", report=report) == 0

    assert available() == balances
    assert not Balance.objects.filter(pk="alice").exists()
    assert not SyncSubscription.objects.exists()
    assert not StripeCustomer.objects.filter(user_id="alice").exists()
    assert ("erased", "alice", None) in named(report)


@pytest.mark.parametrize("rows", ["a balance", "a purchase", "a hold"])
def test_an_erased_user_without_transactions_stays_erased(
    source: str, earlier: Earlier, report: Path, service: Caller, rows: str
) -> None:
    earlier.grant("bob", 1)
    if rows == "a balance":
        earlier.balance("alice")["balance"] = 5
    elif rows == "a purchase":
        earlier.purchase("alice")
    else:
        earlier.balance("alice")["balance"] = 5
        earlier.reserve("alice", 5)
    earlier.flush(source)
    run(source, "--apply", report=report)
    service.delete("balance/alice")
    balances = available()

    assert run(source, "--apply", report=report) == 0

    assert available() == balances
    assert not Balance.objects.filter(pk="alice").exists()
    assert not Purchase.objects.filter(user_id="alice").exists()
    assert not StripeCustomer.objects.filter(user_id="alice").exists()
    assert ("erased", "alice", None) in named(report)


def test_the_id_of_an_opening_adjustment_does_not_tell_whose_it_was(
    source: str, earlier: Earlier, report: Path, service: Caller
) -> None:
    earlier.balance("alice")["balance"] = 5
    earlier.flush(source)
    run(source, "--apply", report=report)

    service.delete("balance/alice")

    guessed = UUID(md5(b"opening:alice:0", usedforsecurity=False).hexdigest())
    assert Transaction.objects.get().pk != guessed


def test_a_table_that_may_not_be_read_is_not_taken_for_a_missing_one(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("alice", 10)
    earlier.flush(source)
    role = "reads_credits_only"
    with psycopg.connect(source, autocommit=True) as there:
        there.execute(f"CREATE ROLE {role}")
        there.execute(f"GRANT USAGE ON SCHEMA credits TO {role}")
        there.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA credits TO {role}")
    try:
        with pytest.raises(CommandError, match=r"cannot be read.*permission denied.*gifts"):
            run(make_conninfo(source, options=f"-c role={role}"), "--apply", report=report)
    finally:
        with psycopg.connect(source, autocommit=True) as there:
            there.execute(f"DROP OWNED BY {role}")
            there.execute(f"DROP ROLE {role}")

    assert not Balance.objects.exists()


def test_ids_that_no_request_can_name_are_imported_and_named(
    source: str, earlier: Earlier, report: Path
) -> None:
    characters = [chr(code) for code in (*range(1, 0x3200), *range(0xFE00, 0xFFFE))]
    users = [user for one in characters for user in (f"{one}u", f"u{one}u", f"u{one}")]
    odd = {user for user in users if labels.error_for_user_id(user)}
    plain = random.Random(3).sample(sorted(set(users) - odd), 100)
    for user in (*sorted(odd), *plain):
        earlier.grant(user, 1)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    named_ids = [row["user_id"] for row in findings(report) if row["kind"] == "user id"]
    assert {user.removeprefix("'") for user in named_ids} == odd  # a cell begins with no tab
    assert len(available()) == len(odd) + 100
