"""`manage.py generate_demo_data`: a year of demo data under the ledger's rules."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command

from credits.models import Balance, Contact, Purchase, Reservation, SyncSubscription, Transaction
from gifts.models import GiftCode
from mana_credits.back_office.account import account_search
from mana_credits.dev.demo import batch_writer, community, demo_users, histories
from mana_credits.dev.demo.batch_writer import NotAsPlanned
from mana_credits.dev.demo.demo_users import DemoSize
from tests.factories import give

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def trial(settings: Any) -> None:
    """Set DEBUG, as on a developer's machine."""
    settings.DEBUG = True


def generate(*options: str) -> list[str]:
    """Run the command. Return the lines of its summary."""
    out = StringIO()
    call_command("generate_demo_data", *options, stdout=out)
    return out.getvalue().splitlines()


def history() -> list[tuple[Any, ...]]:
    rows = Transaction.objects.order_by("user_id", "number")
    return list(rows.values_list("user_id", "number", "type", "amount", "app_id"))


@pytest.mark.slow
def test_exactly_so_many_users_have_exactly_so_many_transactions() -> None:
    lines = generate("--users=200", "--transactions=3000")

    assert lines[:2] == ["users          200", "transactions   3,000"]
    assert lines[3] == "discrepancies  0"
    assert (Balance.objects.count(), Transaction.objects.count()) == (200, 3000)


@pytest.mark.slow
def test_there_is_something_of_everything() -> None:
    generate("--users=300", "--transactions=12000", "--seed=2")

    assert set(Transaction.objects.values_list("type", flat=True)) == {
        "purchase",
        "usage",
        "refund",
        "gift",
        "grant",
        "adjustment",
        "clawback",
        "reinstatement",
    }
    assert set(GiftCode.objects.values_list("status", flat=True)) == {
        "active",
        "depleted",
        "expired",
        "cancelled",
    }
    assert set(Purchase.objects.values_list("status", flat=True)) == {
        "completed",
        "refunded",
        "disputed",
        "cancelled",
    }
    assert Transaction.objects.exclude(operation=None).values("operation").distinct().count() == 25
    assert GiftCode.objects.filter(type="personalized", status="depleted").exists()
    assert Balance.objects.filter(posted__lt=0).exists()
    assert Reservation.objects.filter(status="open").exists()
    assert set(SyncSubscription.objects.values_list("renews", flat=True)) == {True, False}


def test_it_happened_within_the_last_year() -> None:
    now = datetime.now(UTC)

    generate("--users=50", "--transactions=500")

    moments = Transaction.objects.order_by("created_at").values_list("created_at", flat=True)
    assert now - timedelta(days=366) < moments[0] < now - timedelta(days=300)
    assert now - timedelta(days=30) < moments[499] < datetime.now(UTC)


def test_support_finds_each_user_by_name_and_address() -> None:
    generate("--users=50", "--transactions=500")

    known = Contact.objects.filter(name__contains=" ", email__endswith="@example.test")
    assert known.count() == Balance.objects.count() == 50
    someone = known.latest("seen_at")
    newest = Transaction.objects.filter(user_id=someone.pk).latest("number")
    assert someone.seen_at == newest.created_at
    (found,) = account_search.find(someone.email).hits
    assert found.user_id == someone.pk


def test_the_busiest_of_many_has_a_good_part_of_it_all() -> None:
    counts = demo_users._counts(DemoSize(100_000, 1_000_000, 1))

    assert (sum(counts), len(counts), counts[0], min(counts)) == (1_000_000, 100_000, 19_833, 1)


def test_the_same_seed_makes_the_same_history() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    world = community._world(now)

    first, again, other = (
        [
            histories.of(batch, world, Random(seed))
            for batch in demo_users.batches(DemoSize(20, 200, seed), now=now)
        ]
        for seed in (7, 7, 8)
    )

    assert first[0].entries == again[0].entries
    assert len(first[0].entries) == 200
    assert first[0].entries != other[0].entries


def test_another_seed_makes_other_users_beside_the_first() -> None:
    generate("--users=20", "--transactions=200", "--seed=7")

    generate("--users=20", "--transactions=200", "--seed=8")

    assert (Balance.objects.count(), Transaction.objects.count()) == (40, 400)


def test_a_run_that_was_stopped_is_completed_by_the_next_one() -> None:
    write, calls = batch_writer.write, iter(range(100))

    def write_twice(people: Any, made: Any) -> int:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return write(people, made)

    with (
        patch.object(demo_users, "BATCH_TRANSACTIONS", 100),
        patch.object(batch_writer, "write", write_twice),
    ):
        with pytest.raises(KeyboardInterrupt):
            generate("--users=50", "--transactions=500")
        stopped_at = history()
        generate("--users=50", "--transactions=500")
        complete = history()
        generate("--users=50", "--transactions=500")

    assert 200 <= len(stopped_at) < 400
    assert len(complete) == 500
    assert set(stopped_at) < set(complete)
    assert history() == complete


def test_a_batch_that_the_ledger_refuses_leaves_nothing() -> None:
    world = community._world(datetime.now(UTC))
    (batch,) = demo_users.batches(DemoSize(20, 200, 1), now=world.now)
    made = histories.of(batch, world, Random(1))
    made.entries.pop(0)  # the first user's grant for new users

    with pytest.raises(NotAsPlanned, match="insufficient_credits"):
        batch_writer.write(batch, made)

    assert not Balance.objects.exists()


def test_it_keeps_away_from_production(settings: Any) -> None:
    settings.DEBUG = False

    with pytest.raises(CommandError, match="DEBUG is off"):
        generate()

    assert not Balance.objects.exists()


def test_it_keeps_away_from_real_users() -> None:
    give("alice", 10)

    with pytest.raises(CommandError, match="real users"):
        generate()

    assert Balance.objects.count() == 1


def test_who_knows_better_is_let_through(settings: Any) -> None:
    settings.DEBUG = False
    give("alice", 10)

    generate("--users=10", "--transactions=20", "--anyway")

    assert Balance.objects.count() == 11
    assert Balance.objects.get(pk="alice").posted == 10


def test_books_that_do_not_close_are_an_error() -> None:
    with (
        patch("credits.management.progress.check_books", return_value=1),
        pytest.raises(CommandError, match="do not close"),
    ):
        generate("--users=10", "--transactions=20")


def test_nobody_is_without_a_transaction() -> None:
    with pytest.raises(CommandError, match="at least --users"):
        generate("--users=10", "--transactions=9")
