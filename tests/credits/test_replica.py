"""Reads that may be a second old: from a standby that is up to date, else from the primary."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.conf import settings as live
from django.core.checks import Tags, run_checks
from django.db import OperationalError, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import ConnectionHandler
from django.test.utils import CaptureQueriesContext
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import AdminShutdown, QueryCanceled

from bench.failover.node import DATABASE, Node
from credits.ledger import ledger
from credits.models import Balance
from credits.postgresql import replica
from credits.reporting import ledger_report, statements
from mana_credits import database
from mana_credits.back_office.acts import csv_exports
from mana_credits.back_office.admin import dashboard_figures
from mana_credits.database_metrics import StateCollector
from mana_credits.dev.embedded_postgres import FOR_TESTS, temporary_server
from tests import running
from tests.environment import PROVIDER
from tests.factories import give
from tests.loopback import free_port

pytestmark = pytest.mark.django_db(databases=["default", "replica"])

TODAY = datetime.now(UTC).date()
NOW = datetime.now(UTC)


def same_database(alias_settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a replica that is the primary itself."""
    parts = {name: alias_settings[key] for name, key in database.KEYS.items()}
    return database.replica_settings(alias_settings, parts)


@pytest.fixture(scope="module", autouse=True)
def alias(django_db_setup: None) -> Iterator[None]:
    """Make the tests' own database the replica too."""
    connections.settings["replica"] = same_database(connections["default"].settings_dict)
    yield
    connections["replica"].close()
    connections["replica"].close_pool()  # type: ignore[attr-defined]
    del connections["replica"]
    del connections.settings["replica"]


@pytest.fixture
def second(settings: Any, committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Route reads to a replica of which nothing is known yet."""
    settings.DATABASE_ROUTERS = ["credits.postgresql.replica.Router"]
    monkeypatch.setattr(replica, "standby", replica.Standby())


@pytest.fixture
def up_to_date(second: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the replica for a standby without a lag."""
    monkeypatch.setattr(replica, "lag_seconds", lambda: 0.0)


READS: dict[str, Callable[[], Any]] = {
    "statement": lambda: statements.of_month("alice", TODAY, sheet=1, now=NOW),
    "report": lambda: ledger_report.of_month(TODAY, now=NOW),
    "outstanding": lambda: dashboard_figures.outstanding(now=NOW),
    "days": lambda: dashboard_figures.per_day(3, today=TODAY),
    "months": lambda: dashboard_figures.per_month(3, today=TODAY),
    "apps": lambda: dashboard_figures.by_app(3, today=TODAY),
    "operations": lambda: dashboard_figures.by_operation(3, today=TODAY),
    "spenders": lambda: dashboard_figures.top_spenders(3, today=TODAY),
    "reservations": lambda: dashboard_figures.open_reservations(now=NOW),
    "export": lambda: list(
        csv_exports._lines(csv_exports.LISTS["transactions"], csv_exports.ExportFilter())
    ),
    "metrics": lambda: list(StateCollector().collect()),
}


@pytest.mark.parametrize("name", READS)
def test_statements_exports_and_figures_are_read_from_the_standby(
    up_to_date: None, name: str
) -> None:
    give("alice", 5)

    with (
        CaptureQueriesContext(connections["default"]) as primary,
        CaptureQueriesContext(connections["replica"]) as standby,
    ):
        READS[name]()

    assert len(standby) > 0
    assert {query["sql"] for query in primary} <= {"SELECT clock_timestamp()"}


@pytest.mark.parametrize("name", READS)
def test_a_server_that_is_no_standby_is_not_read(second: None, name: str) -> None:
    give("alice", 5)

    with CaptureQueriesContext(connections["replica"]) as standby:
        READS[name]()

    assert all("pg_is_in_recovery" in query["sql"] for query in standby)


def test_balances_and_movements_stay_on_the_primary(up_to_date: None) -> None:
    give("alice", 5)

    with CaptureQueriesContext(connections["replica"]) as standby:
        ledger.balance_of("alice")
        Balance.objects.get(pk="alice")

    assert len(standby) == 0


@replica.may_lag
def server() -> str:
    return replica.connection().alias


@replica.may_lag
def row() -> Balance:
    return Balance.objects.get(pk="alice")


def test_a_row_of_the_standby_is_written_to_the_primary(up_to_date: None) -> None:
    give("alice", 5)
    found = row()

    assert found._state.db == "replica"
    assert replica.Router().db_for_write(Balance, instance=found) == "default"


def test_inside_a_transaction_its_own_rows_are_read(up_to_date: None) -> None:
    with transaction.atomic():
        assert server() == "default"

    assert server() == "replica"


def test_a_read_that_the_standby_breaks_off_is_repeated_on_the_primary(up_to_date: None) -> None:
    @replica.may_lag
    def read() -> str:
        if (alias := replica.connection().alias) == "replica":
            raise OperationalError from AdminShutdown()
        return alias

    assert read() == "default"
    assert server() == "default"  # for a while


def test_a_read_beyond_its_time_limit_is_not_repeated(up_to_date: None) -> None:
    calls = []

    @replica.may_lag
    def read() -> None:
        calls.append(replica.connection().alias)
        raise OperationalError from QueryCanceled()

    with pytest.raises(OperationalError):
        read()

    assert calls == ["replica"]


def test_the_standby_is_asked_once_a_second(second: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    clock = [0.0]

    def lag() -> float:
        asked.append(clock[0])
        return 0.0

    monkeypatch.setattr(replica, "lag_seconds", lag)
    standby = replica.Standby(lambda: clock[0])
    for now in (0.0, 0.5, 0.9, 1.1, 1.2):
        clock[0] = now
        assert standby.is_usable()

    assert asked == [0.0, 1.1]


def test_a_standby_that_lags_is_asked_again_after_ten_seconds(
    second: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    lags = iter([live.REPLICA_LAG_SECONDS + 0.1, 0.0])
    monkeypatch.setattr(replica, "lag_seconds", lambda: next(lags))
    standby = replica.Standby(lambda: clock[0])

    found = []
    for now in (0.0, 9.0, 10.5):
        clock[0] = now
        found.append(standby.is_usable())

    assert found == [False, False, True]


def test_while_one_thread_asks_the_others_use_the_primary(
    second: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    standby = replica.Standby()
    meanwhile = []

    def lag() -> float:
        meanwhile.append(standby.is_usable())
        return 0.0

    monkeypatch.setattr(replica, "lag_seconds", lag)

    assert standby.is_usable()
    assert meanwhile == [False]


def test_only_the_primary_is_migrated() -> None:
    router = replica.Router()

    assert router.allow_migrate("default", "credits")
    assert not router.allow_migrate("replica", "credits")


@pytest.mark.parametrize(("lag", "warned"), [(0.0, False), (61.0, True)])
def test_the_check_names_a_standby_that_is_behind(
    second: None, monkeypatch: pytest.MonkeyPatch, lag: float, warned: bool
) -> None:
    monkeypatch.setattr(live, "DATABASES", connections.settings)
    monkeypatch.setattr(replica, "lag_seconds", lambda: lag)

    found = run_checks(tags=[Tags.database], databases=["replica"], include_deployment_checks=True)

    assert [one.id for one in found] == ["mana_credits.W013"] * warned


# ── with a streaming standby ──────────────────────────────────────────────────────────────────


class Pair:
    """A primary and its standby on loopback, as Django's databases `default` and `replica`."""

    def __init__(self, folder: Path) -> None:
        self.primary = Node("primary", folder, free_port())
        self.standby = Node("standby", folder, free_port())

    def create(self) -> None:
        self.primary.create(**FOR_TESTS | {"synchronous_commit": "local"})
        self.primary.ask(f"CREATE DATABASE {DATABASE}")
        self.primary.ask("CREATE TABLE movements (id serial)", DATABASE)
        source = f"host=127.0.0.1 port={self.primary.port} user=postgres"
        self.standby.follow(self.primary, source)
        self.wait()

    def write(self) -> None:
        self.primary.ask("INSERT INTO movements DEFAULT VALUES", DATABASE)

    def wait(self) -> None:
        """Wait until the standby has replayed everything."""
        target = self.primary.ask("SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + 30
        while not self.standby.ask(f"SELECT pg_last_wal_replay_lsn() >= '{target}'::pg_lsn"):
            assert time.monotonic() < deadline, "the standby does not catch up"
            time.sleep(0.05)

    def databases(self) -> dict[str, Any]:
        primary = database.settings_of(
            conninfo_to_dict(self.primary.dsn()),
            session={},
            pool_size=2,
            prepared=True,
            behind_pooler=False,
            answer_seconds=12,
        )
        standby = conninfo_to_dict(self.standby.dsn())
        return {"default": primary, "replica": database.replica_settings(primary, standby)}


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> Iterator[Pair]:
    """Run a primary with a streaming standby. A standby that was not usable is asked at once."""
    with temporary_server():  # makes the programs runnable for PostgreSQL's user
        pass
    with (
        django_db_blocker.unblock(),
        TemporaryDirectory(prefix="mana-credits-replica-") as folder,
    ):
        Path(folder).chmod(0o755)
        servers = Pair(Path(folder))
        handler = ConnectionHandler({})
        try:
            servers.create()
            # Django keeps pools by the alias.
            monkeypatch.setattr(DatabaseWrapper, "_connection_pools", {})
            handler = ConnectionHandler(servers.databases())
            monkeypatch.setattr(replica, "connections", handler)
            monkeypatch.setattr(replica, "standby", replica.Standby())
            monkeypatch.setattr(replica, "STILL_VALID_SECONDS", 0)
            monkeypatch.setattr(replica, "RETRY_SECONDS", 0)
            yield servers
        finally:
            for line in handler.all(initialized_only=True):
                line.close()
                line.close_pool()  # type: ignore[attr-defined]
            servers.standby.remove()
            servers.primary.remove()


@replica.may_lag
def count() -> tuple[str, int]:
    """Return the server that was read and the rows that it showed."""
    server = replica.connection()
    with server.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM movements")
        return server.alias, cursor.fetchone()[0]


@contextmanager
def frozen(node: Node) -> Iterator[None]:
    stopped = [process.pid for process in node.processes()]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_the_standby_is_left_when_it_lags_freezes_or_is_gone(pair: Pair) -> None:
    pair.write()
    pair.wait()
    assert count() == ("replica", 1)

    pair.standby.ask("SELECT pg_wal_replay_pause()")
    pair.write()
    time.sleep(live.REPLICA_LAG_SECONDS + 0.5)
    assert count() == ("default", 2)

    pair.standby.ask("SELECT pg_wal_replay_resume()")
    pair.wait()
    assert count() == ("replica", 2)

    with frozen(pair.standby):
        start = time.monotonic()
        assert count() == ("default", 2)
        assert time.monotonic() - start < 5
    pair.wait()
    assert count() == ("replica", 2)

    pair.standby.kill()
    pair.write()
    assert count() == ("default", 3)


@pytest.mark.slow
def test_an_idle_standby_is_up_to_date_until_it_is_cut_off_or_promoted(pair: Pair) -> None:
    pair.write()
    pair.wait()
    time.sleep(live.REPLICA_LAG_SECONDS + 1)  # the last commit is older than the lag
    assert count() == ("replica", 1)

    pair.standby.ask("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=9'")
    pair.standby.ask("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 10
    while pair.primary.ask("SELECT count(*) FROM pg_stat_replication"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pair.write()
    assert count() == ("default", 2)

    pair.standby.promote()
    assert count() == ("default", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_the_service_answers_without_its_standby() -> None:
    give("alice", 5)
    token = PROVIDER.token("alice")
    nowhere = "postgresql://nobody@127.0.0.1:9/nowhere"

    with (
        running.service(REPLICA_DATABASE_URL=nowhere) as service,
        closing(service.connect()) as line,
    ):
        status, body = running.call(
            line,
            "GET",
            f"/api/v1/credits/statements/{TODAY:%Y-%m}",
            None,
            Authorization=f"Bearer {token}",
        )

    assert (status, body["statement"]["closing"]) == (200, 5)
