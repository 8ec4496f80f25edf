"""A locked or failing row does not stop or delay the others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import OperationalError

from credits import due_rows, worker
from credits.due_rows import DueWork
from credits.ledger import reservation_expiry
from credits.models import (
    Balance,
    CreditLot,
    JobRun,
    PostponedRow,
    Reservation,
    SyncSubscription,
    Transaction,
)
from credits.sync import renewals
from gifts.models import GiftCode
from tests.api import Caller
from tests.factories import due_subscribers, gift, give, hold
from tests.owner import as_owner
from tests.running import database_of_the_test

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
USERS = [f"user-{number}" for number in range(10)]
LOCK_BALANCE = "SELECT 1 FROM credits.balances WHERE user_id = %s FOR UPDATE"


def reservations_due() -> list[str]:
    for user in USERS:
        give(user, 5)
        hold(user, 5)
    with as_owner():
        Reservation.objects.update(created_at=NOW - timedelta(days=2), expires_at=NOW)
    return USERS


def gifts_due() -> list[str]:
    for user in USERS:
        give(user, 5)
        gift(user, 5, at=NOW - timedelta(days=2), days=1)
    return USERS


def renewals_due() -> list[str]:
    return due_subscribers(10, since=NOW - timedelta(days=1))


def credits_due() -> list[str]:
    for user in USERS:
        give(user, 5, expires_at=NOW + timedelta(days=1))
    with as_owner():
        CreditLot.objects.update(expires_at=NOW)
        Balance.objects.update(next_expiry=NOW)
    return USERS


JOBS = [
    ("expire_reservations", reservations_due, "expired"),
    ("expire_gifts", gifts_due, "expired"),
    ("renew_subscriptions", renewals_due, "charged"),
    ("expire_credits", credits_due, "expired"),
]
OWN_ROWS = {
    # The balance's lock protects the lots.
    "expire_credits": LOCK_BALANCE,
    "expire_reservations": "SELECT 1 FROM credits.reservations WHERE user_id = %s FOR UPDATE",
    "expire_gifts": "SELECT 1 FROM gifts.gift_codes WHERE creator_id = %s FOR UPDATE",
    "renew_subscriptions": (
        "SELECT 1 FROM credits.sync_subscriptions WHERE user_id = %s FOR UPDATE"
    ),
}


@contextmanager
def locked(statement: str, user: str) -> Iterator[None]:
    """Hold a lock on another connection."""
    with psycopg.connect(database_of_the_test()) as holder:
        assert holder.execute(statement, [user]).fetchone()
        yield


def command(name: str) -> tuple[int, str]:
    """Run a command. Return its exit code and its last line."""
    out = StringIO()
    code = 0
    try:
        call_command(name, stdout=out)
    except SystemExit as stop:
        code = int(str(stop.code))
    return code, out.getvalue().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("name", "make", "word"), JOBS)
def test_one_locked_balance_keeps_nobody_else_waiting(
    name: str, make: Callable[[], list[str]], word: str
) -> None:
    users = make()
    before = Balance.objects.get(pk=users[3]).version

    with locked(LOCK_BALANCE, users[3]):
        first = command(name)
        version = Balance.objects.get(pk=users[3]).version
    second = command(name)

    assert first == (75, f"{name}: 9 {word}, 1 skipped.")
    assert version == before
    assert second == (0, f"{name}: 1 {word}.")
    assert JobRun.objects.get(pk=name).error == ""
    assert not PostponedRow.objects.exists()


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("name", "make", "word"), JOBS)
def test_one_locked_row_is_skipped(name: str, make: Callable[[], list[str]], word: str) -> None:
    users = make()

    with locked(OWN_ROWS[name], users[0]):
        first = command(name)
    second = command(name)

    assert first == (75, f"{name}: 9 {word}, 1 skipped.")
    assert second == (0, f"{name}: 1 {word}.")


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_the_worker_goes_on_beside_a_locked_balance() -> None:
    reservations_due()
    gifts_due()
    jobs = [worker.jobs()[name] for name in ("expire_reservations", "expire_gifts")]

    with locked(LOCK_BALANCE, "user-0"):
        outcomes = [worker.run(job, now=NOW) for job in jobs]

    assert outcomes == [{"expired": 9, "skipped": 1}, {"expired": 9, "skipped": 1}]
    assert JobRun.objects.get(pk="expire_gifts").result == {"expired": 9, "skipped": 1}
    assert GiftCode.objects.get(creator_id="user-0").status == "active"
    assert Reservation.objects.get(user_id="user-0").status == "open"


@pytest.mark.usefixtures("committed")
def test_all_rows_of_one_locked_user_cost_one_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    give("alice", 30)
    give("bob", 1)
    for _ in range(30):
        hold("alice", 1)
    hold("bob", 1)
    with as_owner():
        Reservation.objects.update(created_at=NOW - timedelta(days=2), expires_at=NOW)
    waits: list[timedelta] = []
    wait_at_most = due_rows.wait_at_most

    def waiting(patience: timedelta) -> None:
        waits.append(patience)
        wait_at_most(patience)

    monkeypatch.setattr(due_rows, "wait_at_most", waiting)
    with locked(LOCK_BALANCE, "alice"):
        outcomes = list(reservation_expiry.expire_due(now=NOW, limit=100))

    assert outcomes == ["expired"] + ["skipped"] * 30
    assert waits == [due_rows.NO_PATIENCE, due_rows.NO_PATIENCE, due_rows.LOCK_PATIENCE]


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_many_locked_users_cost_no_more_than_the_patience_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reservations_due()
    waits: list[timedelta] = []
    wait_at_most = due_rows.wait_at_most

    def waiting(patience: timedelta) -> None:
        waits.append(patience)
        wait_at_most(patience)

    monkeypatch.setattr(due_rows, "wait_at_most", waiting)
    monkeypatch.setattr(due_rows, "RUN_PATIENCE", timedelta(milliseconds=400))
    with psycopg.connect(database_of_the_test()) as holder:
        holder.execute("SELECT 1 FROM credits.balances FOR UPDATE")
        outcomes = list(reservation_expiry.expire_due(now=NOW, limit=100))

    assert outcomes == ["skipped"] * 10
    assert waits[:10] == [due_rows.NO_PATIENCE] * 10
    assert 1 <= waits[10:].count(due_rows.LOCK_PATIENCE) <= 2
    assert waits[12:] == [due_rows.NO_PATIENCE] * 8


@contextmanager
def constraint(check: str) -> Iterator[None]:
    """Add a constraint that later changes of balances must meet."""
    with connection.cursor() as cursor:
        with as_owner():
            cursor.execute(
                f"ALTER TABLE credits.balances ADD CONSTRAINT broken CHECK ({check}) NOT VALID"
            )
        yield
        with as_owner():
            cursor.execute("ALTER TABLE credits.balances DROP CONSTRAINT broken")


@pytest.mark.parametrize(("name", "make", "word"), JOBS)
def test_one_bad_row_is_told_and_stops_nobody(
    name: str, make: Callable[[], list[str]], word: str
) -> None:
    users = make()
    with constraint(f"user_id <> '{users[0]}'"):
        code, printed = command(name)

    assert (code, printed) == (1, f"{name}: 9 {word}, 1 failed.")
    run = JobRun.objects.get(pk=name)
    assert (run.succeeded_at, run.error) == (None, "1 of 10 steps failed")
    bad = PostponedRow.objects.get()
    assert (bad.job, bad.user_id, bad.attempts) == (name, users[0], 1)
    assert bad.error.startswith('IntegrityError: new row for relation "balances" violates')
    assert command(name) == (0, f"{name}: 1 {word}.")
    assert not PostponedRow.objects.exists()


def test_a_bad_row_is_tried_again_with_growing_pauses() -> None:
    reservations_due()
    tried = {}
    with constraint("user_id <> 'user-0'"):
        for minutes in (0, 0.9, 1, 2.9, 3, 7, 15, 29, 30):
            now = NOW + timedelta(minutes=minutes)
            tried[minutes] = list(reservation_expiry.expire_due(now=now, limit=100)).count("failed")

    assert [minutes for minutes, times in tried.items() if times] == [0, 1, 3, 7, 15, 30]
    assert PostponedRow.objects.get().attempts == 6
    assert list(reservation_expiry.expire_due(now=NOW + timedelta(minutes=45), limit=9)) == [
        "expired"
    ]
    assert not PostponedRow.objects.exists()


def test_what_is_postponed_is_counted_and_is_no_backlog(anonymous: Caller) -> None:
    reservations_due()
    with constraint("user_id <> 'user-0'"):  # by the clock of the metrics: the pause is a minute
        list(reservation_expiry.expire_due(now=worker.now(), limit=100))

    lines = anonymous.get("/metrics").content.decode().splitlines()

    assert 'mana_credits_job_postponed_rows{name="expire_reservations"} 1.0' in lines
    assert 'mana_credits_job_oldest_due_age_seconds{name="expire_reservations"} 0.0' in lines


def test_a_pause_from_the_future_is_over_at_once() -> None:
    """A clock that once was ahead does not postpone a row for years."""
    reservations_due()
    with constraint("user_id <> 'user-0'"):
        list(reservation_expiry.expire_due(now=NOW, limit=100))
    PostponedRow.objects.update(due_at=NOW + timedelta(days=700))

    assert list(reservation_expiry.expire_due(now=NOW, limit=100)) == ["expired"]


def test_what_was_postponed_and_settled_otherwise_is_forgotten() -> None:
    reservations_due()
    with constraint("user_id <> 'user-0'"):
        list(reservation_expiry.expire_due(now=NOW, limit=100))
    SyncSubscription.objects.all().delete()
    with as_owner():
        Reservation.objects.filter(user_id="user-0").update(expires_at=NOW + timedelta(days=9))

    list(reservation_expiry.expire_due(now=NOW + timedelta(days=2), limit=100))

    assert not PostponedRow.objects.exists()


def test_renewals_over_http_count_what_could_not_be_renewed(service: Caller) -> None:
    renewals_due()
    with constraint("user_id <> 'syncer-0003'"):
        answer = service.post("/api/v1/internal/sync/charge-recurring")

    assert answer.json() == {"charged": 9, "paused": 0, "errors": 1, "total": 10}
    assert Transaction.objects.filter(operation="cloud_sync").count() == 9
    due = renewals.next_due(NOW)
    assert due is not None
    assert due > NOW


@pytest.mark.usefixtures("committed")
def test_a_row_that_costs_the_connection_stops_nobody() -> None:
    reservations_due()

    def settle(reservation: Reservation) -> str:
        if reservation.user_id == "user-4":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return "seen"

    due = Reservation.objects.filter(status="open")
    work = DueWork("expire_reservations", due, "expires_at", settle, lock=reservation_expiry._lock)
    outcomes = [found.outcome for found in due_rows.settle_each(work, now=NOW, limit=100)]

    assert (outcomes.count("seen"), outcomes.count("failed")) == (9, 1)
    assert PostponedRow.objects.get().user_id == "user-4"


def test_a_database_that_is_away_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    reservations_due()
    tried = []

    def away(*_: object, **__: object) -> str:
        tried.append(1)
        raise OperationalError

    due = Reservation.objects.filter(status="open")
    monkeypatch.setattr(PostponedRow.objects, "bulk_create", away)
    work = DueWork("x", due, "expires_at", away, lock=reservation_expiry._lock)
    with pytest.raises(OperationalError):
        list(due_rows.settle_each(work, now=NOW, limit=100))

    assert len(tried) == 2  # the first row, and the record of its failure


@pytest.mark.usefixtures("committed")
def test_bulk_changes_pass_over_locked_rows() -> None:
    give("alice", 1)
    give("bob", 1)
    rows = Balance.objects.exclude(version=0)

    with locked(LOCK_BALANCE, "alice"), as_owner():
        counts = list(due_rows.change_free(rows.filter(pk="alice"), lambda found: found.count()))

    assert counts == []
    with transaction.atomic(), as_owner():
        assert Balance.objects.select_for_update(nowait=True).get(pk="alice").posted == 1
