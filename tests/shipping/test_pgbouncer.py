"""The service behind PgBouncer in transaction mode with `ops/pgbouncer.ini`."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.apps import apps

from tests import running
from tests.api import use
from tests.environment import PROVIDER
from tests.running import Service
from tests.shipping import servers

pytestmark = pytest.mark.shipping

CLIENTS = 8
SPENDS = 25


def behind(
    pooler: int, *, prepared: bool = False, ready: int = 200
) -> AbstractContextManager[Service]:
    """Run two processes of the service behind PgBouncer."""
    return running.service(
        ready=ready,
        DATABASE_URL=servers.url_of(pooler),
        DATABASE_BEHIND_POOLER="1",
        DATABASE_PREPARED_STATEMENTS=str(int(prepared)),
        WEB_CONCURRENCY="2",
    )


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with servers.postgres() as socket_folder:
        yield socket_folder


@pytest.fixture(params=["unprepared", "prepared"])
def service(request: pytest.FixtureRequest, postgres: str, tmp_path: Path) -> Iterator[Service]:
    """Run two processes of the service that share two PostgreSQL connections."""
    prepared = request.param == "prepared"
    if prepared and servers.pgbouncer_version() < (1, 21):
        pytest.skip("this PgBouncer carries no prepared statements")
    carried = {"max_prepared_statements": "100"} if prepared else {}
    with (
        servers.pgbouncer(postgres, tmp_path, default_pool_size="2", **carried) as pooler,
        behind(pooler, prepared=prepared) as service,
    ):
        yield service


def ask_as(
    service: Service, user: str, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    """Send a request as a user on a new connection."""
    with closing(service.connect()) as line:
        return running.call(
            line, method, path, body, Authorization=f"Bearer {PROVIDER.token(user, name=user)}"
        )


def grant(service: Service, user: str, amount: int) -> None:
    with closing(service.connect()) as line:
        body = {"userId": user, "amount": amount, "reason": "t", "referenceId": user}
        status, _, _ = running.ask(line, "grant", body)
    assert status == 200


def test_spends_at_once_are_exact(service: Service, request: Any) -> None:
    users = [f"{request.node.name}-{number}" for number in range(CLIENTS)]
    for user in users:
        grant(service, user, 100)

    def spend(user: str) -> list[int]:
        with closing(service.connect()) as line:
            bodies = [use(1, userId=user, idempotencyKey=f"k-{n}") for n in range(SPENDS)] * 2
            return [running.ask(line, "use", body)[0] for body in bodies]

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = [status for one in pool.map(spend, users) for status in one]

    assert set(statuses) == {200}
    balances = [ask_as(service, user, "GET", "/api/v1/credits/balance") for user in users]
    assert {(status, body["balance"]) for status, body in balances} == {(200, 100 - SPENDS)}


def test_reservations_gifts_and_lists_work(service: Service, request: Any) -> None:
    giver, friend = f"{request.node.name}-giver", f"{request.node.name}-friend"
    grant(service, giver, 100)

    with closing(service.connect()) as line:
        reserve = {"userId": giver, "amount": 10, "reason": "research:openai"}
        _, held, _ = running.ask(line, "reserve", reserve)
        status, _, _ = running.ask(line, "commit", {"reservationId": held["reservationId"]})
    assert status == 200
    status, gift = ask_as(service, giver, "POST", "/api/v1/gifts", {"totalCredits": 20})
    assert status == 201
    status, redeemed = ask_as(service, friend, "POST", f"/api/v1/gifts/{gift['code']}/redeem", {})
    assert (status, redeemed["newBalance"]) == (200, 20)
    status, entries = ask_as(service, giver, "GET", "/api/v1/credits/transactions?limit=2")
    assert (status, [entry["amount"] for entry in entries]) == (200, [-20, -10])


def test_the_service_holds_no_more_connections_than_the_pooler_lends(
    service: Service, postgres: str
) -> None:
    with closing(service.connect()) as line:
        running.call(line, "GET", "/ready", None)

    with psycopg.connect(servers.url_of(postgres)) as observer:
        rows = observer.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = 'mana_credits' AND pid <> pg_backend_pid()"
        ).fetchone()

    assert rows is not None
    assert 1 <= rows[0] <= 2


@pytest.mark.parametrize(
    ("entry", "lock", "longest"),
    [("mana_credits", "500ms", "10s"), ("mana_credits_jobs", "5s", "0")],
)
def test_every_lent_connection_knows_how_long_one_waits(
    postgres: str, tmp_path: Path, entry: str, lock: str, longest: str
) -> None:
    with (
        servers.pgbouncer(postgres, tmp_path) as pooler,
        psycopg.connect(
            servers.url_of(pooler, entry), autocommit=True, prepare_threshold=None
        ) as lent,
    ):
        known = lent.execute(
            "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), "
            "current_setting('search_path')"
        ).fetchone()

    assert known == (lock, longest, "public, credits, gifts")


def test_a_pooler_that_sets_no_lock_timeout_is_not_ready(postgres: str, tmp_path: Path) -> None:
    """Without it, requests would wait forever for a locked balance."""
    bare = f"host={postgres} dbname=mana_credits"
    with (
        servers.pgbouncer(postgres, tmp_path, mana_credits=bare) as pooler,
        behind(pooler, ready=503) as service,
        closing(service.connect()) as line,
    ):
        answer = running.call(line, "GET", "/ready", None)

    assert answer == (
        503,
        {"status": "unavailable", "missing": ["lock_timeout, which the pooler must set"]},
    )


def test_commands_and_the_worker_run_behind_it(postgres: str, tmp_path: Path) -> None:
    with servers.pgbouncer(postgres, tmp_path) as pooler:
        url = servers.url_of(pooler, "mana_credits_jobs")
        environment = {"DATABASE_BEHIND_POOLER": "1", "DATABASE_PREPARED_STATEMENTS": "0"}
        # Not tested here: Stripe, which is not running.
        worked = servers.manage(url, "expire_reservations", **environment)
        checked = servers.manage(url, "check_ledger", **environment)

    assert (worked.returncode, worked.stderr) == (0, "")
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "The books close.")


def test_pgbouncer_refuses_the_options_of_a_direct_connection(
    postgres: str, tmp_path: Path
) -> None:
    """Therefore PgBouncer must set the session parameters."""
    with (
        servers.pgbouncer(postgres, tmp_path) as pooler,
        pytest.raises(psycopg.OperationalError, match="unsupported startup parameter: options"),
    ):
        psycopg.connect(servers.url_of(pooler), options="-c lock_timeout=5s")


@pytest.mark.skipif(not apps.is_installed("django.contrib.sessions"), reason="no back office")
def test_an_operator_logs_in(service: Service, postgres: str) -> None:
    """Sessions, log-ins and their counts are ordinary rows."""
    made = servers.manage(
        servers.url_of(postgres),
        *("createsuperuser", "--no-input", "--username", "olga", "--email", "olga@example.test"),
        DJANGO_SUPERUSER_PASSWORD=servers.PASSWORD,
    )
    assert made.returncode == 0, made.stderr
    secure = {"X-Forwarded-Proto": "https", "Origin": f"https://127.0.0.1:{service.port}"}
    with closing(service.connect()) as line:
        _, headers, page = running.fetch(line, "GET", "/admin/login/", None, secure)
        (csrf,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        form = urlencode(
            {"csrfmiddlewaretoken": csrf, "username": "olga", "password": servers.PASSWORD}
        )
        with_cookie = {**secure, "Cookie": headers["Set-Cookie"].split(";")[0]}
        with_cookie["Content-Type"] = "application/x-www-form-urlencoded"

        status, headers, _ = running.fetch(line, "POST", "/admin/login/", form, with_cookie)

    assert status == 302
    assert "back_office=" in headers["Set-Cookie"]
