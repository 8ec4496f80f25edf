"""Rules for every route, including future ones: callers and security headers."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from credits import ledger
from tests.api import Caller, use
from tests.declared import operations
from tests.environment import PROVIDER, SERVICE_KEY
from tests.factories import give

ROOT = Path(__file__).resolve().parents[2]
OPEN = {
    ("GET", "/api/v1/anchors"),
    ("GET", "/api/v1/credits/operations"),
    ("GET", "/api/v1/credits/packages"),
    ("GET", "/api/v1/credits/pricing"),
    ("GET", "/api/v1/gifts/{codeOrId}"),
    ("GET", "/api/v1/statements/keys"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("POST", "/api/v1/webhooks/stripe"),  # authenticated by its signature
}
USER = {"Authorization": f"Bearer {PROVIDER.token('alice')}"}
SERVICE = {"X-Service-Key": SERVICE_KEY}

pytestmark = pytest.mark.django_db


def routes() -> list[tuple[str, str]]:
    """Return every method and path of the API's description."""
    return [(method.upper(), path) for path, method, _ in operations().values()]


def ask(method: str, path: str, headers: dict[str, str]) -> Any:
    filled = re.sub(r"\{(\w+)\}", str(uuid4()), path)
    return Client().generic(method, filled, b"{}", headers=headers)


@pytest.mark.parametrize(("method", "path"), routes())
def test_a_route_opens_to_its_own_kind_of_caller_only(method: str, path: str) -> None:
    internal, admin = path.startswith("/api/v1/internal/"), path.startswith("/api/v1/admin/")

    answers = {
        name: ask(method, path, headers).status_code
        for name, headers in (("nobody", {}), ("user", USER), ("service", SERVICE))
    }

    if (method, path) in OPEN:
        assert 401 not in answers.values()
    elif internal:
        assert (answers["nobody"], answers["user"]) == (401, 401)
        assert answers["service"] not in {401, 403}
    else:
        assert (answers["nobody"], answers["service"]) == (401, 401)
        assert answers["user"] == 403 if admin else answers["user"] not in {401, 403}


def test_the_open_routes_are_all_there() -> None:
    assert set(routes()) >= OPEN


KINDS: list[tuple[int, str, str, dict[str, str], bytes]] = [
    (200, "GET", "/api/v1/credits/balance", USER, b""),
    (400, "POST", "/api/v1/credits/use", USER, b"["),
    (401, "GET", "/api/v1/credits/balance", {}, b""),
    (402, "POST", "/api/v1/credits/use", USER, b'{"amount":9,"appId":"x","description":"x"}'),
    (403, "GET", "/api/v1/admin/sync/x", USER, b""),
    (404, "GET", "/nowhere", {}, b""),
    (404, "GET", "/g/ABCD-EFGH-JKLM", {}, b""),
    (405, "POST", "/health", {}, b""),
    (413, "POST", "/api/v1/credits/use", USER, b" " * 300_000),
    (200, "GET", "/health", {}, b""),
    (200, "GET", "/metrics", {}, b""),
    (200, "GET", "/api/schema", {}, b""),
    (200, "GET", "/api/docs", {"Accept": "text/html"}, b""),
]


@pytest.mark.parametrize(
    ("status", "method", "path", "headers", "body"),
    KINDS,
    ids=[f"{status} {path}" for status, _, path, _, _ in KINDS],
)
def test_every_kind_of_answer_protects_whom_it_is_shown_to(
    status: int, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    headers = {**headers, "X-Forwarded-Proto": "https"}

    answer = Client().generic(method, path, body, headers=headers)

    assert answer.status_code == status
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] in {"same-origin", "no-referrer"}
    assert answer["Strict-Transport-Security"].startswith("max-age=31536000")
    assert answer["X-Request-Id"]
    assert "Server" not in answer
    assert not answer.cookies


def test_a_defect_does_so_too(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "balance_of", lambda _: 1 / 0)

    answer = alice.get("balance")

    assert answer.status_code == 500
    assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/v1/credits/balance", "/api/v1/credits/x", "/health"])
def test_no_cache_keeps_what_the_api_answered(alice: Caller, path: str) -> None:
    assert alice.get(path)["Cache-Control"] == "no-store"


def test_fields_that_are_not_the_callers_change_nothing(alice: Caller) -> None:
    """Additional fields cannot name another user or the outcome."""
    give("alice", 10)
    give("bob", 10)
    more = {"userId": "bob", "user_id": "bob", "type": "grant", "balanceAfter": 1e6, "number": 7}

    answer = alice.post("use", {**use(4), **more, "actor": "operator:x", "status": "pending"})

    entry = answer.json()["transaction"]
    assert (entry["userId"], entry["type"], entry["balanceAfter"]) == ("alice", "usage", 6)
    assert ledger.balance_of("bob").posted == 10


def test_a_page_of_another_site_cannot_act_for_its_visitor(alice: Caller) -> None:
    """CSRF is impossible: no cookie is sent automatically."""
    give("alice", 10)
    form = {"Origin": "https://evil.example", "Cookie": "session=x", "Content-Type": "text/plain"}

    answer = Client().generic("POST", "/api/v1/credits/use", b'{"amount":4}', headers=form)

    assert answer.status_code == 401
    assert ledger.balance_of("alice").posted == 10


SECURITY = (ROOT / "docs/security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_checklist_names_is_there(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_the_checklist_has_an_answer_and_a_test_for_every_line() -> None:
    lines = re.split(r"(?m)^### (API\d+)\b.*$", SECURITY)[1:]
    answers = dict(zip(lines[::2], lines[1::2], strict=True))

    assert list(answers) == [f"API{number}" for number in range(1, 11)]
    for name, answer in answers.items():
        assert len(re.findall(r"`tests/[\w/]+\.py::\w+`", answer)) >= 2, name
