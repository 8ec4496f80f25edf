"""Service keys: scopes, daily caps, rotation, and the command's output."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, OperationalError

from credits.ids import id_at
from credits.models import Balance, Reservation, Transaction
from internal_api import known_keys, scopes, service_keys
from internal_api.models import ServiceKey, ServiceTotal
from internal_api.service_keys import InvalidServiceKey, KeyTerms
from tests.api import Caller, at_once, use
from tests.declared import operations
from tests.environment import SERVICE_KEY
from tests.factories import give, spend
from tests.query_plans import rows_read_of
from tests.round_trips import statements

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    scopes.BALANCE_READ: ("get", "credits/balance/alice", {}),
    scopes.USE: ("post", "credits/use", use(1, userId="alice")),
    scopes.RESERVE: ("post", "credits/reserve", {"userId": "alice", "amount": 1, "reason": "chat"}),
    scopes.REFUND: ("post", "credits/refund", {**use(1, userId="alice"), "description": "Sorry"}),
    scopes.GRANT: (
        "post",
        "credits/grant",
        {"userId": "alice", "amount": 1, "reason": "welcome", "referenceId": "1"},
    ),
    scopes.INIT: ("post", "credits/init", {"userId": "alice"}),
    scopes.ERASE: ("delete", "credits/balance/alice", {}),
    scopes.GIFTS: ("post", "gifts/redeem-pending", {"userId": "alice", "email": "a@example.org"}),
    scopes.SYNC: ("get", "sync/status/alice", {}),
}


@pytest.fixture(autouse=True)
def fresh_keys() -> Iterator[None]:
    """Reload the keys for each test, and drop them afterwards."""
    known_keys.KNOWN.forget()
    yield
    known_keys.KNOWN.forget()


def key(*allowed: str, **terms: Any) -> Caller:
    _, secret = service_keys.create(
        "chat", KeyTerms(allowed or scopes.ALL, **terms), by="ada", now=datetime.now(UTC)
    )
    known_keys.KNOWN.forget()
    return caller(secret)


def caller(secret: str) -> Caller:
    return Caller({"X-Service-Key": secret}, prefix="/api/v1/internal/")


def ask(service: Caller, scope: str) -> Any:
    method, path, body = REQUESTS[scope]
    return service.post(path, body) if method == "post" else getattr(service, method)(path)


@pytest.mark.parametrize("scope", scopes.ALL)
def test_a_key_with_the_scope_is_let_in(scope: str) -> None:
    give("alice", 5)

    answer = ask(key(scope), scope)

    assert answer.status_code < 400, answer.content


@pytest.mark.parametrize("scope", scopes.ALL)
def test_a_key_without_the_scope_changes_nothing(scope: str) -> None:
    give("alice", 5)
    others = [one for one in scopes.ALL if one != scope]

    answer = ask(key(*others), scope)

    assert answer.status_code == 403
    assert answer.json() == {
        "statusCode": 403,
        "message": "The service key lacks the required scope",
        "code": "scope_missing",
        "error": "Forbidden",
        "details": {"scope": scope},
    }
    assert Balance.objects.get(pk="alice").last_number == 1


def test_a_method_that_does_not_exist_is_405() -> None:
    assert key().get("credits/use").status_code == 405


def test_the_name_of_the_key_is_the_actor_whatever_the_header_says() -> None:
    give("alice", 5)

    key().post("credits/use", use(1, userId="alice"), {"X-App-Id": "somebody-else"})

    assert Transaction.objects.get(type="usage").actor == "service:chat"


def test_a_known_key_costs_no_query() -> None:
    give("alice", 5)
    service = key()
    service.post("credits/use", use(1, userId="alice"))

    count, answer = statements(lambda: service.post("credits/use", use(1, userId="alice")))

    assert (count, answer.status_code) == (1, 200)


def test_a_revoked_key_is_refused_within_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    give("alice", 5)
    service = key()
    assert service.get("credits/balance/alice").status_code == 200
    service_keys.revoke(ServiceKey.objects.get().pk, now=datetime.now(UTC))

    _let_pass(monkeypatch, known_keys.RELOAD_SECONDS + 0.1)

    assert service.get("credits/balance/alice").status_code == 401


def test_keys_that_cannot_be_reloaded_are_not_trusted_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = key()
    assert service.get("credits/balance/alice").status_code == 200
    _let_pass(monkeypatch, known_keys.VALID_SECONDS + 0.1)

    def away(**options: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(service_keys, "valid", away)

    assert service.get("credits/balance/alice").status_code == 503


def test_a_request_does_not_wait_for_ever_for_the_reload_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = key()
    monkeypatch.setattr(known_keys, "WAIT", 0.01)

    with known_keys.KNOWN._lock:
        answer = service.get("credits/balance/alice")

    assert answer.status_code == 503


def _let_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = time.monotonic
    monkeypatch.setattr(
        "internal_api.known_keys.time", type("Clock", (), {"monotonic": lambda: clock() + seconds})
    )


def test_an_expired_key_is_refused_at_once() -> None:
    service = key(expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert service.get("credits/balance/alice").status_code == 200
    for loaded in known_keys.KNOWN._loaded.keys.values():
        loaded.expires_at = datetime.now(UTC)

    assert service.get("credits/balance/alice").status_code == 401


def test_both_keys_are_valid_while_they_overlap() -> None:
    first, secret = service_keys.create("chat", KeyTerms(["use"]), by="ada", now=NOW)

    second, other = service_keys.rotate(first.pk, overlap=timedelta(hours=1), by="ada", now=NOW)

    assert (second.name, second.scopes) == ("chat", ["use"])
    assert secret != other
    during, after = NOW + timedelta(minutes=59), NOW + timedelta(minutes=61)
    assert set(service_keys.valid(now=during)) == {first, second}
    assert set(service_keys.valid(now=after)) == {second}


def test_the_secret_is_stored_nowhere() -> None:
    _, secret = service_keys.create("chat", KeyTerms(["use"]), by="ada", now=NOW)

    row = str(ServiceKey.objects.values().get())

    assert secret not in row
    assert secret[14:] not in row


def test_the_last_use_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    service = key()
    service.get("credits/balance/alice")
    assert ServiceKey.objects.get().last_used_at is None

    _let_pass(monkeypatch, known_keys.RELOAD_SECONDS + 0.1)
    service.get("credits/balance/alice")

    used = ServiceKey.objects.get().last_used_at
    assert used is not None
    assert datetime.now(UTC) - used < timedelta(minutes=1)


def test_keys_work_while_their_use_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    service = key()
    service.get("credits/balance/alice")

    def read_only(*arguments: object, **options: object) -> None:
        raise InternalError("cannot execute UPDATE in a read-only transaction")

    with monkeypatch.context() as standby:
        standby.setattr(known_keys, "record_use", read_only)
        _let_pass(standby, known_keys.RELOAD_SECONDS + 0.1)
        assert service.get("credits/balance/alice").status_code == 200
    assert ServiceKey.objects.get().last_used_at is None

    _let_pass(monkeypatch, 3 * known_keys.RELOAD_SECONDS)
    service.get("credits/balance/alice")
    assert ServiceKey.objects.get().last_used_at is not None


@pytest.mark.parametrize(
    ("name", "terms", "text"),
    [
        ("", KeyTerms(["use"]), "The name must have"),
        ("x" * 65, KeyTerms(["use"]), "The name must have"),
        (" chat", KeyTerms(["use"]), "The name must have"),
        ("chat\u200b", KeyTerms(["use"]), "The name must have"),
        ("chat", KeyTerms([]), "at least one scope"),
        ("chat", KeyTerms(["everything"]), "Unknown scopes: everything"),
        ("chat", KeyTerms(["use"], daily_grants=Decimal(-1)), "must not be negative"),
        ("chat", KeyTerms(["use"], expires_at=NOW), "in the past"),
    ],
)
def test_invalid_terms_are_refused(name: str, terms: KeyTerms, text: str) -> None:
    with pytest.raises(InvalidServiceKey, match=text):
        service_keys.create(name, terms, by="ada", now=NOW)

    assert not ServiceKey.objects.exists()


def _grant(service: Caller, amount: float, reference: str) -> Any:
    body = {"userId": "alice", "amount": amount, "reason": "welcome", "referenceId": reference}
    return service.post("credits/grant", body)


def test_grants_stop_at_the_cap_and_move_nothing_above_it() -> None:
    service = key(daily_grants=Decimal(10))

    answers = [_grant(service, 4, str(number)) for number in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert answers[2].json()["code"] == "cap_reached"
    assert answers[2].json()["details"] == {"cap": "daily_grants", "limit": 10}
    assert Balance.objects.get(pk="alice").posted == 8
    assert ServiceTotal.objects.get().credits == 8


def test_one_grant_above_the_cap_is_refused() -> None:
    assert _grant(key(daily_grants=Decimal(10)), 10.0001, "1").status_code == 403

    assert not ServiceTotal.objects.exists()


def test_a_replayed_grant_counts_once() -> None:
    service = key(daily_grants=Decimal(10))

    answers = [_grant(service, 6, "1") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert ServiceTotal.objects.get().credits == 6


def test_the_count_begins_again_on_the_next_day() -> None:
    service = key(daily_grants=Decimal(10))
    _grant(service, 10, "1")
    ServiceTotal.objects.update(day=datetime.now(UTC).date() - timedelta(days=1))

    assert _grant(service, 10, "2").status_code == 200


def test_two_keys_of_one_service_share_the_cap() -> None:
    first = key(daily_grants=Decimal(10))
    second = key(daily_grants=Decimal(10))
    _grant(first, 7, "1")

    assert _grant(second, 7, "2").status_code == 403


def test_refunds_without_a_usage_are_capped_and_named_ones_are_not() -> None:
    give("alice", 50)
    service = key(daily_refunds=Decimal(5))
    usage = service.post("credits/use", use(20, userId="alice")).json()["transaction"]["id"]

    unnamed = {"userId": "alice", "amount": 6, "appId": "chat", "description": "Sorry"}
    refused = service.post("credits/refund", unnamed)
    named = service.post("credits/refund", {**unnamed, "transactionId": usage})

    assert (refused.status_code, named.status_code) == (403, 200)
    assert Balance.objects.get(pk="alice").posted == 36


def test_spends_and_holds_of_one_user_stay_within_the_cap() -> None:
    give("alice", 50)
    give("bob", 50)
    service = key(daily_spend_per_user=Decimal(10))

    reserved = service.post("credits/reserve", {"userId": "alice", "amount": 6, "reason": "chat"})
    within = service.post("credits/use", use(4, userId="alice"))
    above = service.post("credits/use", use(0.0001, userId="alice"))
    held = service.post("credits/reserve", {"userId": "alice", "amount": 1, "reason": "chat"})
    hold = reserved.json()["reservationId"]
    committed = service.post("credits/commit", {"reservationId": hold})
    other = service.post("credits/use", use(10, userId="bob"))

    codes = [one.status_code for one in (within, above, held, committed, other)]
    assert codes == [200, 403, 403, 200, 200]
    assert Balance.objects.get(pk="alice").posted == 40
    assert Reservation.objects.count() == 1


def test_a_commit_of_another_services_hold_counts() -> None:
    give("alice", 50)
    held = caller(SERVICE_KEY).post(
        "credits/reserve", {"userId": "alice", "amount": 6, "reason": "chat"}
    )
    service = key(daily_spend_per_user=Decimal(10))
    service.post("credits/use", use(5, userId="alice"))
    hold = held.json()["reservationId"]

    above = service.post("credits/commit", {"reservationId": hold})
    within = service.post("credits/commit", {"reservationId": hold, "amount": 5})

    assert (above.status_code, above.json()["code"]) == (403, "cap_reached")
    assert within.status_code == 200
    assert Balance.objects.get(pk="alice").posted == 40


def test_a_cap_does_not_read_the_history() -> None:
    give("alice", 50)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for number in range(200):
        with patch("credits.ledger.posting.new_id", return_value=id_at(yesterday, random=number)):
            spend("alice", 0.01, at=yesterday)
    service = key(daily_spend_per_user=Decimal(10))
    service.post("credits/use", use(1, userId="alice"))

    read = rows_read_of(
        "credits.transactions", lambda: service.post("credits/use", use(1, userId="alice"))
    )

    assert read < 20


def test_a_batch_refuses_only_the_items_above_the_cap() -> None:
    give("alice", 50)
    give("bob", 50)
    service = key(daily_spend_per_user=Decimal(10))
    items = [
        use(6, userId="alice", idempotencyKey="1"),
        use(6, userId="alice", idempotencyKey="2"),
        use(6, userId="bob", idempotencyKey="1"),
        use(4, userId="alice", idempotencyKey="3"),
    ]

    answer = service.post("credits/use/batch", {"items": items}).json()["items"]
    again = service.post("credits/use/batch", {"items": items}).json()["items"]

    assert [one["outcome"] for one in answer] == ["posted", "refused", "posted", "posted"]
    assert answer[1]["code"] == "cap_reached"
    assert [one["outcome"] for one in again] == ["replayed", "refused", "replayed", "replayed"]
    assert Balance.objects.get(pk="alice").posted == 40


@pytest.mark.usefixtures("committed")
def test_twenty_grants_at_once_never_exceed_the_cap() -> None:
    service = key(daily_grants=Decimal(10))

    answers = at_once(20, lambda number: _grant(service, 3, str(number)))

    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [403] * 17
    assert Balance.objects.get(pk="alice").posted == 9


@pytest.mark.usefixtures("committed")
def test_twenty_spends_at_once_never_exceed_the_cap() -> None:
    give("alice", 100)
    service = key(daily_spend_per_user=Decimal(10))

    answers = at_once(20, lambda _: service.post("credits/use", use(3, userId="alice")))

    refused = [answer for answer in answers if answer.status_code == 403]
    assert Balance.objects.get(pk="alice").posted == 91
    assert len(refused) + 3 <= 20


def test_the_command_prints_a_secret_that_opens() -> None:
    give("alice", 5)
    out, told = StringIO(), StringIO()

    call_command(
        "service_keys",
        *("create", "chat", "--scope", "balance:read", "--operator", "ada"),
        *("--daily-grants", "100"),
        stdout=out,
        stderr=told,
    )

    secret = out.getvalue().strip()
    assert caller(secret).get("credits/balance/alice").json()["balance"] == 5
    assert "not shown again" in told.getvalue()
    assert secret not in told.getvalue()


def test_the_command_lists_rotates_and_revokes() -> None:
    kept, _ = service_keys.create(
        "chat", KeyTerms(["use"], daily_grants=Decimal("0.5")), by="ada", now=NOW
    )
    out = StringIO()

    call_command("service_keys", "rotate", str(kept.pk), "--operator", "ada", stdout=StringIO())
    call_command("service_keys", "list", stdout=out)
    call_command("service_keys", "revoke", str(kept.pk), stdout=out)

    newest, older, revoked = out.getvalue().splitlines()
    assert "chat: use daily_grants=0.5 (last used never, expires never)" in newest
    assert older.startswith(str(kept.pk))
    assert revoked == f"Revoked the key {kept.prefix}… of chat."
    assert str(kept.pk) not in {str(one.pk) for one in service_keys.valid(now=NOW)}


def test_the_command_names_a_key_that_is_not_valid() -> None:
    with pytest.raises(CommandError, match="There is no valid service key with this id"):
        call_command("service_keys", "revoke", str(uuid4()))


def test_every_operation_of_a_service_needs_a_scope() -> None:
    declared = {
        operation_id
        for operation_id, (path, _, described) in operations().items()
        if path.startswith("/api/v1/internal/")
        and "scope_missing"
        in described["responses"]["403"]["content"]["application/json"]["examples"]
    }

    assert declared == {name for name in operations() if name.startswith("internal_")}
