"""The routes for monitoring and the API's description: `/health`, `/ready`, `/metrics`, schema."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never
from unittest.mock import Mock, patch

import pytest
from django.contrib.staticfiles import finders
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.validation import validate_schema
from psycopg_pool import PoolTimeout

from mana_credits.api import schema
from tests import running
from tests.api import Answer, Caller, at_once, use
from tests.factories import give
from tests.owner import as_owner
from tests.running import Service

ROOT = Path(__file__).resolve().parents[2]
SECONDS = "mana_credits_request_duration_seconds"


@pytest.fixture
def down(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every new database connection fail."""

    def refuse(*_: Any) -> Never:
        raise PoolTimeout("couldn't get a connection after 10.00 sec")

    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", refuse)


def over_a_new_connection(caller: Caller, path: str, body: Any = None) -> Answer:
    """Send a request in a new thread, which has no database connection yet."""
    ask = (lambda _: caller.post(path, body)) if body else (lambda _: caller.get(path))
    return at_once(1, ask)[0]


def test_health_asks_no_database(anonymous: Caller) -> None:
    """Without pytest's database mark, a query would fail."""
    answer = anonymous.get("/health")

    assert answer.status_code == 200
    body = answer.json()
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body.pop("timestamp"))
    assert body == {"status": "ok", "service": "mana-credits"}
    assert b" " not in answer.content


@pytest.mark.usefixtures("down")
def test_health_is_200_while_the_database_is_down(anonymous: Caller) -> None:
    assert over_a_new_connection(anonymous, "/health").status_code == 200


@pytest.mark.django_db
def test_ready_is_200_with_database_and_migrations(anonymous: Caller) -> None:
    answer = anonymous.get("/ready")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


@pytest.mark.usefixtures("down")
def test_not_ready_without_the_database(anonymous: Caller) -> None:
    answer = over_a_new_connection(anonymous, "/ready")

    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "missing": ["database"]}
    assert answer["Retry-After"] == "5"


@pytest.mark.django_db
def test_not_ready_while_a_migration_is_pending(anonymous: Caller) -> None:
    newest = MigrationRecorder.Migration.objects.filter(app="credits").order_by("-name")[0]
    with as_owner():
        newest.delete()

    answer = anonymous.get("/ready")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "missing": [f"migration credits.{newest.name}"],
    }
    assert answer["Retry-After"] == "5"


@pytest.mark.usefixtures("down")
@pytest.mark.parametrize(
    ("path", "body"), [("balance", None), ("transactions", None), ("usage", None), ("use", use(1))]
)
def test_without_the_database_the_api_asks_to_try_again(
    alice: Caller, path: str, body: Any
) -> None:
    answer = over_a_new_connection(alice, path, body)

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json() == {
        "statusCode": 503,
        "message": "The service is unavailable for a moment",
        "code": "database_unavailable",
    }


def counted(text: str, method: str, route: str, status: int) -> float:
    """Return the number of requests of a kind in the metrics `text`."""
    labels = f'{{method="{method}",route="{route}",status="{status}"}}'
    found = re.search(rf"^{SECONDS}_count{re.escape(labels)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0


@pytest.mark.django_db
def test_requests_are_counted_by_route_and_no_user_is_named(
    alice: Caller, service: Caller, anonymous: Caller
) -> None:
    kinds = {
        ("GET", "api/v1/internal/credits/balance/<path:user_id>", 200): 2,
        ("GET", "api/v1/credits/balance", 200): 1,
        ("POST", "api/v1/credits/use", 402): 1,
        ("GET", "api/v1/credits/balance", 401): 1,
        ("GET", "", 404): 2,
        ("OTHER", "health", 405): 1,
    }
    before = anonymous.get("/metrics").content.decode()

    service.get("balance/planted-user-1")
    service.get("balance/planted-user-2")
    alice.get("balance?planted=planted-user-3")
    alice.post("use", use(1, appId="planted-app"))
    anonymous.get("balance")
    anonymous.get("/planted-route-1")
    anonymous.get("/api/planted-route-2")
    anonymous._client.generic("PLANTED", "/health")

    answer = anonymous.get("/metrics")
    after = answer.content.decode()
    assert answer["Content-Type"].startswith("text/plain; version=")
    assert {kind: counted(after, *kind) - counted(before, *kind) for kind in kinds} == kinds
    assert "planted" not in after.lower()
    assert "alice" not in after


@pytest.mark.usefixtures("committed")
@pytest.mark.slow
def test_the_metrics_are_those_of_all_workers(tmp_path: Path) -> None:
    give("alice", 100)
    counts = tmp_path / "metrics"
    counts.mkdir()
    with running.service(WEB_CONCURRENCY="2", PROMETHEUS_MULTIPROC_DIR=str(counts)) as service:
        service.wait_for_workers(2)
        for _ in range(40):
            fetch(service, "/health")
        counting = {int(path.stem.rpartition("_")[2]) for path in counts.glob("*.db")}
        workers = {worker.pid for worker in service.workers()}

        sums = {counted(fetch(service, "/metrics"), "GET", "health", 200) for _ in range(8)}

    assert sums == {40}
    assert len(workers) == 2
    assert workers <= counting


def fetch(service: Service, path: str) -> str:
    line = service.connect()
    line.request("GET", path)
    text = line.getresponse().read().decode()
    line.close()
    return text


def test_the_schema_is_openapi_and_the_one_in_the_repository(anonymous: Caller) -> None:
    answer = anonymous.get("/api/schema")
    parsed = anonymous.get("/api/schema", Accept="application/vnd.oai.openapi+json").json()

    assert answer.status_code == 200
    assert answer.content.decode() == (ROOT / "docs/openapi.yaml").read_text()
    validate_schema(parsed)  # type: ignore[no-untyped-call]
    assert parsed["openapi"] == "3.1.0"
    assert "/api/v1/internal/credits/reserve" in parsed["paths"]


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("application/json", "application/json"),
        ("application/json, */*", "application/json"),
        ("application/yaml", "application/yaml; charset=utf-8"),
        ("*/*;q=0.8", "application/vnd.oai.openapi; charset=utf-8"),
        ("text/html", "application/vnd.oai.openapi; charset=utf-8"),
    ],
)
def test_the_schema_has_the_common_media_types(anonymous: Caller, accepted: str, kind: str) -> None:
    answer = anonymous.get("/api/schema", Accept=accepted)

    assert (answer.status_code, answer["Content-Type"]) == (200, kind)
    assert (answer.content[:1] == b"{") == ("json" in kind)


@pytest.fixture
def generated() -> Iterator[Mock]:
    """Count the generated schemas from now on."""
    schema._generated.cache_clear()
    real = SchemaGenerator.get_schema
    with patch.object(SchemaGenerator, "get_schema", autospec=True, side_effect=real) as counted:
        yield counted


def test_the_schema_is_generated_once_per_format_and_not_sent_to_a_client_that_has_it(
    anonymous: Caller, generated: Mock
) -> None:
    json_type = "application/vnd.oai.openapi+json"

    answers = [anonymous.get("/api/schema", Accept=kind) for kind in ("*/*", json_type) * 2]
    known = {"If-None-Match": answers[0]["ETag"]}
    again = anonymous.get("/api/schema", **known)
    in_json = anonymous.get("/api/schema", Accept=json_type, **known)

    assert generated.call_count == 2
    assert answers[0]["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert answers[1]["Content-Type"] == json_type
    assert "Accept" in answers[0]["Vary"]
    assert answers[0].content == answers[2].content != answers[1].content == answers[3].content
    assert (again.status_code, again.content) == (304, b"")
    assert in_json.status_code == 200


def test_the_schema_is_generated_once_for_requests_at_the_same_time(generated: Mock) -> None:
    documents = at_once(4, lambda _: schema.document(OpenApiJsonRenderer))

    assert generated.call_count == 1
    assert len(set(documents)) == 1


def test_the_page_of_the_api_loads_nothing_from_elsewhere(anonymous: Caller) -> None:
    answer = anonymous.get("/api/docs", Accept="text/html")

    assert answer.status_code == 200
    page = answer.content.decode()
    links = re.findall(r"""(?:src|href|action)\s*=\s*["']([^"']*)""", page)
    assert len(links) == 4
    assert all(link.startswith("/static/") for link in links)
    assert all(finders.find(link.removeprefix("/static/")) for link in links)
    assert not re.search(r"https?://|[\"'(]//", page)
    assert "/api/schema" in page
