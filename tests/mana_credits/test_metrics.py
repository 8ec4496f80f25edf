"""Metrics: movements, gauges of the database, counters of several processes."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from prometheus_client import generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import CollectorRegistry
from psycopg.errors import LockNotAvailable
from structlog.testing import capture_logs

from credits import worker
from credits.jobs import check_ledger
from credits.ledger import credit_expiry, ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, DailyTotal, JobRun, OutboxMessage
from credits.outbox import outbox
from credits.reporting import daily_totals
from credits.worker import Job
from mana_credits import metrics, pool_metrics
from mana_credits.database_metrics import StateCollector
from tests import running
from tests.api import Caller, use
from tests.factories import give, hold
from tests.owner import as_owner
from tests.running import Service
from webhooks.models import StripeEvent

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def values(caller: Caller) -> dict[str, float]:
    """Return the service's own metrics by name and labels."""
    return parsed(caller.get("/metrics").content.decode())


def parsed(text: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("mana_credits_"))
    return {name: float(value) for name, value in lines}


def risen(before: dict[str, float], after: dict[str, float], family: str) -> dict[str, float]:
    """Return the increases of a family's counters."""
    rises = {name: value - before.get(name, 0) for name, value in after.items()}
    return {
        name.removeprefix(family): rise
        for name, rise in rises.items()
        if name.startswith(f"{family}{{") and rise
    }


@pytest.mark.django_db
def test_movements_are_counted_by_kind_and_outcome(service: Caller, anonymous: Caller) -> None:
    give("alice", 10)
    before = values(anonymous)

    for body in (use(4, idempotencyKey="k"), use(4, idempotencyKey="k"), use(7)):
        service.post("use", {**body, "userId": "alice"})
    service.post("use", use(1, userId="alice", idempotencyKey="k"))
    held = service.post("reserve", {"userId": "alice", "amount": 5, "reason": "chat"}).json()
    service.post("reserve", {"userId": "alice", "amount": 5, "reason": "chat"})
    for _ in range(2):
        service.post("commit", {"reservationId": held["reservationId"]})
    service.post("init", {"userId": "bob"})

    assert risen(before, values(anonymous), "mana_credits_movements_total") == {
        '{kind="usage",outcome="posted"}': 1,
        '{kind="usage",outcome="replayed"}': 1,
        '{kind="usage",outcome="insufficient_credits"}': 1,
        '{kind="usage",outcome="idempotency_key_reused"}': 1,
        '{kind="reserve",outcome="posted"}': 1,
        '{kind="reserve",outcome="insufficient_credits"}': 1,
        '{kind="committed",outcome="posted"}': 1,
        '{kind="committed",outcome="replayed"}': 1,
    }


def state(collector: StateCollector | None = None) -> dict[str, float]:
    """Return the gauges of the database as a new process reads them."""
    registry = CollectorRegistry()
    registry.register(collector or StateCollector())
    return parsed(generate_latest(registry).decode())


@pytest.mark.django_db
def test_the_state_is_that_of_the_books() -> None:
    give("alice", 10)
    give("bob", "5.5")
    hold("alice", 3)
    hold("bob", "0.25")
    reservations.release(hold("bob", 1).pk, origin=Origin("user"))
    for key in ("a", "b", "c"):
        outbox.tell("alice", {}, key=key, now=NOW)
    OutboxMessage.objects.filter(key="c").update(status="dead")
    StripeEvent.objects.create(id="evt_1", type="x", payload="{}", created_at=NOW, received_at=NOW)

    found = state()

    assert {name: value for name, value in found.items() if "_job_" not in name} == {
        "mana_credits_outstanding_credits": 15.5,
        "mana_credits_outbox_dead_messages": 1,
        "mana_credits_expiries_total": 0,
        "mana_credits_expired_credits_total": 0,
        "mana_credits_open_reservations": 2,
        "mana_credits_held_credits": 3.25,
        "mana_credits_outbox_pending_messages": 2,
        "mana_credits_stripe_events_waiting": 1,
    }


@pytest.mark.django_db
def test_expiries_are_counted_whoever_posts_them() -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    give("alice", 10, expires_at=soon)
    give("bob", "5.5", expires_at=soon)
    give("bob", 3)
    list(credit_expiry.expire_due(now=soon, limit=1))
    ledger.spend("bob", Decimal(1), memo=Memo("chat"), origin=Origin("service", at=soon))
    day = soon.date()
    list(daily_totals.sum_days(day, day))

    found = state()

    assert found["mana_credits_expiries_total"] == 2
    assert found["mana_credits_expired_credits_total"] == 15.5
    assert DailyTotal.objects.get(type="expiry").credits_out == 15.5


@pytest.mark.breaks_the_books
@pytest.mark.django_db
def test_discrepancies_are_those_of_the_last_check() -> None:
    give("alice", 10)
    job = Job("check_ledger", check_ledger, at_hour=3)
    worker.run(job, now=NOW)
    before = state()
    with as_owner():
        Balance.objects.update(held=3)

    with pytest.raises(Exception, match="1 discrepancy"):
        worker.run(job, now=NOW + timedelta(days=1))
    after = state()

    assert (before["mana_credits_discrepancies"], after["mana_credits_discrepancies"]) == (0, 1)
    assert after['mana_credits_job_last_steps{name="check_ledger",outcome="discrepancies"}'] == 1
    success = 'mana_credits_job_last_success_timestamp_seconds{name="check_ledger"}'
    assert after[success] == NOW.timestamp()
    failure = 'mana_credits_job_last_failure_timestamp_seconds{name="check_ledger"}'
    assert failure not in before
    assert after[failure] == (NOW + timedelta(days=1)).timestamp()


@pytest.mark.django_db
def test_runs_in_the_future_were_recorded_with_a_wrong_clock_and_do_not_count() -> None:
    """Otherwise JobFails stays for as long, and LedgerNotChecked cannot be raised."""
    later = datetime.now(UTC) + timedelta(days=400)
    JobRun.objects.create(name="check_ledger", failed_at=later)
    JobRun.objects.create(name="expire_gifts", failed_at=NOW, succeeded_at=later)

    runs = {name: value for name, value in state().items() if "timestamp_seconds{" in name}

    failure = 'mana_credits_job_last_failure_timestamp_seconds{name="expire_gifts"}'
    assert runs == {failure: NOW.timestamp()}


@pytest.mark.django_db
def test_whole_tables_are_counted_every_five_minutes_only() -> None:
    clock = iter([0.0, 0.0, 299.0, 301.0, 301.0])
    collector = StateCollector(clock=lambda: next(clock))
    give("alice", 10)
    first = state(collector)
    give("alice", 5)

    with CaptureQueriesContext(
        connection,
    ) as asked:
        second = state(collector)
    third = state(collector)

    owed = "mana_credits_outstanding_credits"
    assert (first[owed], second[owed], third[owed]) == (10, 10, 15)
    assert not any("SUM" in query["sql"] and "balances" in query["sql"] for query in asked)


@pytest.mark.django_db
def test_without_the_database_there_are_no_gauges_and_the_log_says_why(monkeypatch: Any) -> None:
    """`/ready` answers 200 while only a table is locked. Then the log alone tells the cause."""

    def locked() -> None:
        raise DatabaseError from LockNotAvailable()

    monkeypatch.setattr(worker, "jobs", locked)

    with capture_logs() as logged:
        assert state() == {}

    cause = {"error": "LockNotAvailable", "sqlstate": "55P03"}
    assert logged == [{"event": "gauges_missing", "log_level": "warning", **cause}]


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    folder = tmp_path / "metrics"
    folder.mkdir()
    return folder


def count(path: Path, value: float) -> None:
    """Write a process's counter with the single key `k`."""
    file = MmapedDict(str(path))  # type: ignore[no-untyped-call]
    file.write_value("k", value, 0)  # type: ignore[no-untyped-call]
    file.close()  # type: ignore[no-untyped-call]


def test_what_dead_processes_counted_is_summed_and_their_gauges_go(
    counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(counts))
    for pid, value in ((1, 5.0), (2, 7.0), (12, 100.0)):
        for kind in ("counter", "histogram", "gauge_livesum"):
            count(counts / f"{kind}_{pid}.db", value)

    metrics.retire(1)
    metrics.retire(2)

    assert {path.name for path in counts.glob("*.db")} == {
        *("counter_dead.db", "histogram_dead.db"),
        *("counter_12.db", "histogram_12.db", "gauge_livesum_12.db"),
    }
    for kind in ("counter", "histogram"):
        (kept,) = MmapedDict.read_all_values_from_file(str(counts / f"{kind}_dead.db"))  # type: ignore[no-untyped-call]
        assert kept[:2] == ("k", 12.0)


@pytest.mark.django_db
def test_a_look_at_the_pool_counts_its_connections() -> None:
    pool_metrics.look()

    (connections,) = pool_metrics.CONNECTIONS.collect()
    sizes = {sample.labels["state"]: sample.value for sample in connections.samples}
    assert sizes["lent"] >= 1
    assert sizes["idle"] >= 0


def scrape(service: Service) -> dict[str, float]:
    with closing(service.connect()) as line:
        line.request("GET", "/metrics")
        return parsed(line.getresponse().read().decode())


CONNECTIONS = "mana_credits_database_connections"


@pytest.mark.usefixtures("committed")
@pytest.mark.slow
def test_the_pools_of_all_processes_are_summed(counts: Path) -> None:
    with running.service(WEB_CONCURRENCY="2", PROMETHEUS_MULTIPROC_DIR=str(counts)) as service:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            for _ in range(8):
                found = scrape(service)
            states = [found[f'{CONNECTIONS}{{state="{one}"}}'] for one in ("idle", "lent")]
            if sum(states) >= 2:
                break
            time.sleep(0.2)

    assert min(states) >= 0
    assert sum(states) >= 2  # threads keep theirs, which are lent
    assert found["mana_credits_database_waiting"] == 0
    assert found["mana_credits_database_refused"] == 0


@pytest.mark.usefixtures("committed")
@pytest.mark.slow
def test_renewed_workers_lose_neither_requests_nor_counts(counts: Path) -> None:
    give("alice", 1000)
    with running.service(
        WEB_CONCURRENCY="2", WEB_MAX_REQUESTS="20", PROMETHEUS_MULTIPROC_DIR=str(counts)
    ) as service:
        service.wait_for_workers(2)
        first = {worker.pid for worker in service.workers()}
        answers = list(spends(service, 200))
        found = scrape(service)
        last = {worker.pid for worker in service.workers()}
        files = len(list(counts.glob("*.db")))

    assert answers == [200] * 200
    assert first != last
    assert found['mana_credits_movements_total{kind="usage",outcome="posted"}'] == 200
    # Each process has one file per kind: two workers, the master, a starting worker, the dead.
    assert files <= 5 * len({"counter", "histogram", "gauge_livesum"})


def spends(service: Service, count: int) -> Iterator[int]:
    """Spend `count` times on connections that the service keeps alive."""
    sent = 0
    while sent < count:
        with closing(service.connect()) as line:
            closes = False
            while sent < count and not closes:
                status, _, closes = running.ask(line, "use", use(1, userId="alice"))
                sent += 1
                yield status
