"""The logs: one JSON object per line, without secrets and personal data."""

import errno
import io
import json
import logging
import sys
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from credits import ledger
from credits.postgresql import database_errors
from mana_credits import logs
from mana_credits.api import key_ring
from tests.api import Caller, use
from tests.environment import PROVIDER, SERVICE_KEY
from tests.factories import give
from tests.owner import as_owner

pytestmark = pytest.mark.django_db


class Log(io.StringIO):
    def lines(self) -> list[dict[str, Any]]:
        """Return the written lines, each a JSON object with a timestamp."""
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
        return lines

    def requests(self) -> list[dict[str, Any]]:
        """Return the lines of the access log without their variable values."""
        found = [line for line in self.lines() if line["event"] == "request"]
        for line in found:
            assert 0 < line.pop("milliseconds") < 60_000
            assert line.pop("timestamp").endswith("Z")
            assert (line.pop("event"), line.pop("level")) == ("request", "info")
        return found


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Configure logging as a new process does, with a captured standard output."""
    written = Log()
    kept = logging.getLogger().handlers[:]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", written)
        logs.configure("INFO")
        for module, name in (
            (database_errors, "database_errors"),
            (key_ring, "key_ring"),
        ):
            patch.setattr(module, "logger", structlog.get_logger(name))
        yield written
    logs.configure(settings.LOG_LEVEL)
    logging.getLogger().handlers[:] = kept


def test_a_valid_caller_trace_is_logged_and_an_invalid_one_is_not(log: Log) -> None:
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    anybody = Caller({}, prefix="/")

    anybody.get("x", traceparent=f"00-{trace}-{span}-01")
    anybody.get("x", traceparent="00-secret-01")
    anybody.get("x")

    found = [(line.get("trace_id"), line.get("span_id")) for line in log.requests()]
    assert found == [(trace, span), (None, None), (None, None)]
    assert "secret" not in log.getvalue()


def test_a_line_says_who_asked_for_what_and_how_it_went(log: Log) -> None:
    give("alice", 5)
    alice = Caller.with_token(PROVIDER.token("alice"))
    named = {"X-Service-Key": SERVICE_KEY, "X-App-Id": "mana-llm", "X-Request-Id": "r-3"}
    service = Caller(named, prefix="/api/v1/internal/credits/")

    alice.get("balance", **{"X-Request-Id": "r-1"})
    alice.post("use", use(6), headers={"X-Request-Id": "r-2"})
    service.get("balance/alice")
    Caller({}, prefix="/").get("x", **{"X-Request-Id": "r-4"})

    balance = "api/v1/credits/balance"
    by_id = "api/v1/internal/credits/balance/<path:user_id>"
    assert log.requests() == [
        {"request_id": "r-1", "user": "alice", "method": "GET", "route": balance, "status": 200},
        {
            "request_id": "r-2",
            "user": "alice",
            "method": "POST",
            "route": "api/v1/credits/use",
            "status": 402,
            "code": "insufficient_credits",
        },
        {"request_id": "r-3", "service": "mana-llm", "method": "GET", "route": by_id}
        | {"status": 200},
        {"request_id": "r-4", "method": "GET", "route": "", "status": 404, "code": "not_found"},
    ]


def test_a_log_that_cannot_be_written_fails_no_request(
    log: Log, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log, "flush", full)
    logs.configure("INFO", to=log)

    assert alice.get("balance").status_code == 200


def test_the_id_in_the_log_is_the_one_in_the_answer(log: Log, alice: Caller) -> None:
    answer = alice.get("balance")

    assert [line["request_id"] for line in log.requests()] == [answer["X-Request-Id"]]


PLANTED = "planted"
EMAIL = f"{PLANTED}@example.test"


def ask_with_planted_values() -> list[str]:
    """Send secrets and personal data in every possible place. Return these values."""
    token = PROVIDER.token("alice", email=EMAIL, name=PLANTED)
    user = Caller({"Authorization": f"Bearer {token}", "Cookie": f"a={PLANTED}"}, prefix="/api/v1/")
    service = Caller({"X-Service-Key": SERVICE_KEY}, prefix="/api/v1/internal/credits/")
    wrong = Caller({"X-Service-Key": PLANTED}, prefix="/api/v1/internal/credits/")
    body = use(1, userId=EMAIL, idempotencyKey=PLANTED, metadata={PLANTED: PLANTED})
    for caller in (user, service, wrong):
        caller.get("/api/v1/credits/balance?token=" + PLANTED)
        caller.get(f"/api/v1/internal/credits/balance/{EMAIL}")
        caller.get(f"/{PLANTED}?email={EMAIL}")
        caller.post("/api/v1/credits/use", {**body, "description": PLANTED})
        caller.post("/api/v1/internal/credits/use", {**body, "description": PLANTED})
        caller.post("/api/v1/internal/credits/use", {**body, "amount": PLANTED})
        caller.post("/api/v1/credits/use", PLANTED.encode(), headers={"Idempotency-Key": PLANTED})
    Caller.with_token(f"{PLANTED}.{PLANTED}.{PLANTED}").get("balance")
    return [PLANTED, token, *token.split("."), SERVICE_KEY]


def test_nothing_secret_or_personal_is_logged(log: Log) -> None:
    give("alice", 5)

    secrets = ask_with_planted_values()

    assert len(log.requests()) == 22
    assert [secret for secret in secrets if secret in log.getvalue()] == []


def test_nothing_secret_or_personal_is_logged_when_everything_fails(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(user_id: str, *_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    for verb in ("balance_of", "spend"):
        monkeypatch.setattr(ledger, verb, fail)

    secrets = ask_with_planted_values()

    defects = [line for line in log.lines() if line["level"] == "error"]
    assert len(defects) == 4
    assert all("RuntimeError: a defect" in line["exception"] for line in defects)
    assert {line["request_id"] for line in defects} <= {
        line["request_id"] for line in log.requests() if line["status"] == 500
    }
    assert [secret for secret in secrets if secret in log.getvalue()] == []


def test_a_defect_names_the_route(
    log: Log, service: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "balance_of", lambda _: 1 / 0)

    service.get("balance/" + EMAIL)

    (defect,) = [line for line in log.lines() if line["level"] == "error"]
    assert defect["event"] == "Internal Server Error"
    assert defect["route"] == "api/v1/internal/credits/balance/<path:user_id>"
    assert "ZeroDivisionError" in defect["exception"]


def test_the_row_that_a_constraint_refused_is_not_logged(
    log: Log, service: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL quotes the row with all its values in the error's DETAIL."""

    def break_a_rule(user_id: str) -> None:
        with as_owner(), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO credits.balances SELECT * FROM credits.balances WHERE user_id = %s",
                [user_id],
            )

    give(EMAIL, 1)
    monkeypatch.setattr(ledger, "balance_of", break_a_rule)

    answer = service.get("balance/" + EMAIL)

    assert answer.status_code == 500
    (defect,) = [line for line in log.lines() if line["level"] == "error"]
    assert IntegrityError.__name__ in defect["exception"]
    assert defect["exception"].count("duplicate key value violates unique constraint") == 2
    assert PLANTED not in log.getvalue()


@pytest.mark.parametrize("amount", [6, -1])
def test_an_expected_refusal_is_not_logged_as_an_error(
    log: Log, alice: Caller, amount: int
) -> None:
    give("alice", 5)

    answer = alice.post("use", use(amount))

    assert answer.status_code in {400, 402}
    assert [line["level"] for line in log.lines()] == ["info"]


def test_the_lines_of_libraries_are_json_too(log: Log) -> None:
    logging.getLogger("some.library").warning("careful: %s", 5)
    logging.getLogger("some.library").info("a\nb")

    first, second = log.lines()
    assert (first["event"], first["logger"], first["level"]) == (
        "careful: 5",
        "some.library",
        "warning",
    )
    assert second["event"] == "a\nb"
