"""Conventions of every API request and response."""

import io
import json
import re
from http.client import responses
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import pytest

from credits import ledger
from mana_credits.wsgi import application
from tests.api import Caller, use
from tests.environment import PROVIDER
from tests.factories import give, hold

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

pytestmark = pytest.mark.django_db

ORIGIN = "http://localhost:5173"
BALANCE = "/api/v1/credits/balance"


def error(status: int, message: str, code: str) -> bytes:
    body = {"statusCode": status, "message": message, "code": code}
    return json.dumps(body, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "path",
    ["/", "/x", "/api", "/api/v1/credits", "/api/v1/credits/balance/", "/api/v2/credits/balance"],
)
@pytest.mark.parametrize("ask", [Caller.get, Caller.post, Caller.delete])
def test_an_unknown_route_is_answered_in_json(alice: Caller, ask: Any, path: str) -> None:
    answer = ask(alice, path)

    assert answer.status_code == 404
    assert answer.content == error(404, "Not found", "not_found")
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Request-Id"]


@pytest.mark.parametrize(
    "path",
    ["balance", "transactions", "/health", "/ready", "/metrics", "/api/schema", "/api/docs"],
)
def test_a_wrong_method_is_answered_in_json(alice: Caller, path: str) -> None:
    answer = alice.post(path)

    assert answer.status_code == 405
    assert answer.content == error(405, 'Method "POST" not allowed.', "method_not_allowed")
    assert answer["Content-Type"] == "application/json"
    assert {"GET", "HEAD"} <= set(answer["Allow"].split(", "))


@pytest.mark.parametrize("request_id", ["a", "1f.2_3:4-5", "x" * 128])
def test_a_valid_request_id_is_returned(alice: Caller, request_id: str) -> None:
    answer = alice.get("balance", **{"X-Request-Id": request_id})

    assert answer["X-Request-Id"] == request_id


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "é", "a\r\nSet-Cookie: x=y", "<b>"])
def test_an_unusable_request_id_is_replaced(alice: Caller, request_id: str) -> None:
    answer = alice.get("balance", **{"X-Request-Id": request_id})

    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-Id"])
    assert "Set-Cookie" not in answer


def test_a_preflight_needs_no_token(anonymous: Caller) -> None:
    answer = anonymous._client.options(
        BALANCE,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key",
        },
    )

    assert answer.status_code in {200, 204}
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert "POST" in answer["Access-Control-Allow-Methods"]
    assert set(answer["Access-Control-Allow-Headers"].split(", ")) >= {
        *("authorization", "content-type", "idempotency-key", "x-app-id", "x-request-id")
    }


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/credits/use", "POST, OPTIONS"),
        ("/api/v1/internal/credits/balance/alice", "GET, DELETE, HEAD, OPTIONS"),
        ("/api/schema", "GET, HEAD, OPTIONS"),
        ("/api/docs", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_answers_anybody_with_the_methods_of_the_path(
    anonymous: Caller, alice: Caller, path: str, methods: str
) -> None:
    for caller in (anonymous, alice):
        answer = caller._client.options(path, headers=caller.headers)

        assert (answer.status_code, answer.content, answer["Allow"]) == (200, b"", methods)
        assert "Content-Type" not in answer


def test_an_allowed_origin_may_read_the_answer(alice: Caller, anonymous: Caller) -> None:
    for answer in (alice.get("balance", Origin=ORIGIN), anonymous.get("balance", Origin=ORIGIN)):
        assert answer["Access-Control-Allow-Origin"] == ORIGIN
        assert answer["Access-Control-Allow-Credentials"] == "true"
        assert answer["Access-Control-Expose-Headers"] == "link, retry-after, x-request-id"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:5174", "null", ""])
def test_a_foreign_origin_may_not(alice: Caller, origin: str) -> None:
    preflight = alice._client.options(
        BALANCE, headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
    )
    answer = alice.get("balance", Origin=origin)

    assert "Access-Control-Allow-Origin" not in preflight
    assert "Access-Control-Allow-Origin" not in answer
    assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "x"],
)
def test_a_body_is_json_whatever_its_content_type(content_type: str) -> None:
    give("alice", 5)

    status, _, body = call("POST", "/api/v1/credits/use", use(2), CONTENT_TYPE=content_type)

    assert (status, body["newBalance"]["balance"]) == (200, 3)


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "", "*/*;q=0", "é"])
def test_an_answer_is_json_whatever_is_accepted(alice: Caller, accept: str) -> None:
    answer = alice.get("balance?format=html", Accept=accept)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def call(
    method: str, path: str, body: Any = None, **environ: Any
) -> tuple[int, dict[str, str], Any]:
    """Send a request of alice through the WSGI application with exactly this environment."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    environment: WSGIEnvironment = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": f"Bearer {PROVIDER.token('alice')}",
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
        **environ,
    }
    setup_testing_defaults(environment)
    started: list[Any] = []
    answer = application(environment, lambda *args: started.extend(args))  # type: ignore[arg-type]
    text = b"".join(answer)
    answer.close()
    status = int(started[0].split()[0])
    assert started[0] == f"{status} {responses[status]}"
    return status, dict(started[1]), json.loads(text)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("5", b"5"),
        ("0.1", b"0.1"),
        ("12.3400", b"12.34"),
        ("0.0001", b"0.0001"),
        ("10000000000", b"10000000000"),
        ("99999999999.9999", b"99999999999.9999"),
    ],
)
def test_credits_are_written_as_short_exact_numbers_in_compact_json(
    alice: Caller, given: str, written: bytes
) -> None:
    give("alice", given)

    answer = alice.get("balance")

    earned = b'{"balance":%b,"totalEarned":%b,"totalSpent":0,"held":0,"expiring":[]}'
    assert answer.content == earned % (written, written)


def test_text_is_written_as_it_is(alice: Caller) -> None:
    give("alice", 5)

    answer = alice.post("use", use(2, description="Größe 😀\n\u2028</script>"))

    assert '"description":"Größe 😀\\n\u2028</script>"'.encode() in answer.content


def test_times_are_utc_with_three_decimals(alice: Caller, service: Caller) -> None:
    give("alice", 5)
    hold("alice", 1)
    form = r"20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{3}Z"

    row = service.post("init", {"userId": "alice"}).json()
    (entry,) = alice.get("transactions").json()
    held = service.post("reserve", {"userId": "alice", "amount": 1, "reason": "x"}).json()

    times = [row["createdAt"], row["updatedAt"], entry["createdAt"], held["expiresAt"]]
    assert all(re.fullmatch(form, one) for one in times)


@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "a b", ""])
def test_a_foreign_host_is_refused_in_json(host: str) -> None:
    status, headers, body = call("GET", BALANCE, HTTP_HOST=host, SERVER_NAME="evil.example")

    assert status == 400
    assert body == {
        "statusCode": 400,
        "message": "Bad request",
        "code": "bad_request",
        "details": {"Host": ["This host is not allowed."]},
    }
    assert headers["X-Request-Id"]


def test_every_answer_carries_the_headers_that_protect_a_browser(alice: Caller) -> None:
    plain = alice.get("balance")
    secure = alice.get("balance", **{"X-Forwarded-Proto": "https"})

    assert plain["X-Content-Type-Options"] == "nosniff"
    assert plain["X-Frame-Options"] == "DENY"
    assert plain["Referrer-Policy"] == "same-origin"
    assert plain["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in plain
    assert secure["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert not plain.cookies


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("a planted defect")

    monkeypatch.setattr(ledger, "balance_of", fail)


@pytest.mark.usefixtures("defect")
def test_an_internal_error_does_not_reveal_its_cause(
    alice: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    answer = alice.get("balance")

    assert answer.status_code == 500
    assert answer.content == error(500, "Internal server error", "internal_error")
    assert answer["X-Request-Id"]
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.exc_info
    assert str(record.exc_info[1]) == "a planted defect"
