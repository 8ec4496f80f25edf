"""API requests bypass the middleware of pages and of the back office."""

from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from credits import ledger
from mana_credits.api import chain
from mana_credits.api.chain import answer_api
from tests.environment import SERVICE_KEY

pytestmark = pytest.mark.django_db

ORIGIN = settings.CORS_ALLOWED_ORIGINS[0]
BALANCE = "/api/v1/internal/credits/balance/alice"


@pytest.fixture
def pages() -> list[str]:
    """Return the list of paths that reached the middleware of pages."""
    return []


@pytest.fixture
def answer(pages: list[str]) -> Any:
    def pass_on(request: HttpRequest) -> HttpResponse:
        pages.append(request.path_info)
        return HttpResponse()

    return answer_api(pass_on)


@pytest.mark.parametrize("path", ["/api/v1/credits/packages", "/api/schema", "/api/x", "/api/"])
def test_a_request_of_the_api_is_answered_by_the_chain(
    path: str, answer: Any, pages: list[str]
) -> None:
    response = answer(RequestFactory().get(path))

    assert response.status_code in {200, 404}
    assert response["Content-Length"] == str(len(response.content))
    assert pages == []


@pytest.mark.parametrize("path", ["/health", "/admin/", "/credits", "/apis", "/static/x"])
def test_any_other_request_is_passed_on(path: str, answer: Any, pages: list[str]) -> None:
    answer(RequestFactory().get(path))

    assert pages == [path]


def test_only_the_observer_stands_before_the_chain() -> None:
    assert settings.MIDDLEWARE[:2] == [
        "mana_credits.middleware.observe",
        "mana_credits.api.chain.answer_api",
    ]


def test_a_defect_is_answered_with_the_headers_of_every_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "balance_of", lambda _: 1 / 0)
    client = Client(raise_request_exception=False)

    response = client.get(
        BALANCE, headers={"X-Service-Key": SERVICE_KEY, "Origin": ORIGIN}, secure=True
    )

    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Strict-Transport-Security"].startswith("max-age=31536000")
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert response["X-Request-Id"]


def test_the_views_of_two_routes_are_not_mixed_up() -> None:
    """A static route is resolved once. The second time its view is cached."""
    client = Client()
    paths = ["/api/v1/credits/packages", "/api/v1/credits/operations", "/api/v1/credits/pricing"]

    first = [client.get(path).resolver_match.route for path in paths]
    second = [client.get(path).resolver_match.route for path in reversed(paths)]

    assert first == [path[1:] for path in paths]
    assert second == [path[1:] for path in reversed(paths)]


def test_users_of_one_route_are_not_mixed_up() -> None:
    client = Client(headers={"X-Service-Key": SERVICE_KEY})
    base = "/api/v1/internal/credits/balance/"

    named = [client.get(base + name).resolver_match.kwargs for name in ("alice", "bob", "alice")]

    assert named == [{"user_id": "alice"}, {"user_id": "bob"}, {"user_id": "alice"}]


def test_a_host_that_was_not_allowed_stays_refused() -> None:
    """An allowed host is remembered. Another one is checked again each time."""
    client = Client()
    path = "/api/v1/credits/packages"
    statuses = [
        client.get(path, headers={"Host": host}).status_code
        for host in ("localhost", "evil.example", "localhost", "evil.example")
    ]

    assert statuses == [200, 400, 200, 400]


def test_an_unknown_host_is_refused_in_json_also_in_development(settings: Any) -> None:
    settings.DEBUG = True

    answer = Client().get("/api/v1/credits/packages", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json()["details"] == {"Host": ["This host is not allowed."]}


def test_few_hosts_are_remembered(settings: Any) -> None:
    settings.ALLOWED_HOSTS = [".example.test"]
    client = Client()

    known: set[str] = set()
    with patch.object(chain, "_known_hosts", known):
        for number in range(chain.MAX_KNOWN_HOSTS + 5):
            host = f"shop-{number}.example.test"
            assert client.get("/api/v1/credits/packages", headers={"Host": host}).status_code == 200

        assert len(known) == chain.MAX_KNOWN_HOSTS


def test_a_header_of_the_view_is_not_replaced() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"referrer-policy": "no-referrer"})

    with patch.object(chain, "_answer", view):
        response = answer_api(view)(RequestFactory().get("/api/x"))

    assert response["Referrer-Policy"] == "no-referrer"
    assert response["X-Content-Type-Options"] == "nosniff"
