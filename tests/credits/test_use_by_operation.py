"""Users spend by operation, at the catalogue's price."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from credits.catalogue import catalogue
from credits.catalogue.catalogue import Price
from credits.ledger import db_functions, ledger, reservations
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import Balance, Reservation, Transaction, UsageStat
from tests.api import Caller, at_once, statuses
from tests.factories import give
from tests.owner import as_owner

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def by(operation: str, **fields: Any) -> dict[str, Any]:
    """Return the request body of a spend by operation."""
    return {"operation": operation, "appId": "chat", "description": "A message", **fields}


def set_price(operation: str, cost: str) -> None:
    catalogue.set_price(operation, Price(Decimal(cost)), actor="operator:anna", now=NOW)


def price_of(transaction_id: str) -> tuple[Any, ...]:
    row = Transaction.objects.get(pk=transaction_id)
    return row.operation, row.unit_cost, row.quantity


def test_an_operation_costs_what_the_catalogue_says(alice: Caller) -> None:
    give("alice", 100)

    answer = alice.post("use", by("ai_chat_gpt4", quantity=3))

    assert answer.status_code == 200
    body = answer.json()
    assert body["transaction"]["amount"] == -15
    assert body["newBalance"]["balance"] == 85
    assert price_of(body["transaction"]["id"]) == ("ai_chat_gpt4", 5, 3)
    assert UsageStat.objects.get(user_id="alice").credits_used == 15


def test_one_is_the_usual_quantity(alice: Caller) -> None:
    give("alice", 1)

    body = alice.post("use", by("ai_chat_ollama", amount=None, quantity=None)).json()

    assert body["transaction"]["amount"] == -0.1
    assert price_of(body["transaction"]["id"]) == ("ai_chat_ollama", Decimal("0.1"), 1)


@pytest.mark.parametrize(
    ("quantity", "amount"), [(1, -0.2), (10, -0.2), (11, -0.4), (20, -0.4), (21, -0.6)]
)
def test_items_are_charged_by_started_batches(alice: Caller, quantity: int, amount: float) -> None:
    give("alice", 1)

    body = alice.post("use", by("bulk_import", quantity=quantity)).json()

    assert body["transaction"]["amount"] == amount
    assert Decimal(str(-amount)) == catalogue.price("bulk_import", quantity)
    assert price_of(body["transaction"]["id"]) == ("bulk_import", Decimal("0.2"), quantity)


def test_a_new_price_is_charged_from_the_next_use_and_old_entries_keep_theirs(
    alice: Caller,
) -> None:
    give("alice", 100)
    old = alice.post("use", by("ai_chat_gpt4")).json()["transaction"]

    set_price("ai_chat_gpt4", "7.5")
    new = alice.post("use", by("ai_chat_gpt4")).json()["transaction"]

    assert (old["amount"], new["amount"]) == (-5, -7.5)
    assert price_of(old["id"]) == ("ai_chat_gpt4", 5, 1)
    assert price_of(new["id"]) == ("ai_chat_gpt4", Decimal("7.5"), 1)


def test_a_replay_answers_with_the_first_price(alice: Caller) -> None:
    give("alice", 100)
    body = by("ai_chat_gpt4", quantity=2, idempotencyKey="k1")
    first = alice.post("use", body).json()

    set_price("ai_chat_gpt4", "7")
    dearer = alice.post("use", body).json()
    catalogue.deactivate("ai_chat_gpt4", actor="operator:anna", now=NOW)
    gone = alice.post("use", body).json()

    assert first["transaction"]["amount"] == -10
    assert dearer["transaction"] == gone["transaction"] == first["transaction"]
    assert gone["message"] == "Transaction already processed"
    assert Balance.objects.get(pk="alice").posted == 90


@pytest.mark.parametrize(
    "other", [{"quantity": 3}, {"operation": "ai_chat_claude"}, {"appId": "todo"}]
)
def test_a_key_names_one_operation_and_quantity(alice: Caller, other: dict[str, Any]) -> None:
    give("alice", 100)
    body = by("ai_chat_gpt4", quantity=2, idempotencyKey="k1")
    alice.post("use", body)

    answer = alice.post("use", {**body, **other})

    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_key_reused"
    assert Balance.objects.get(pk="alice").posted == 90


def test_a_key_for_an_amount_is_not_one_for_an_operation(alice: Caller) -> None:
    give("alice", 100)
    body = by("ai_chat_gpt4", idempotencyKey="k1")
    alice.post("use", body)

    answer = alice.post("use", {**body, "operation": None, "amount": 5})

    assert answer.status_code == 409


@pytest.mark.parametrize("known", [True, False])
def test_an_operation_that_is_not_on_offer_is_refused(alice: Caller, known: bool) -> None:
    if known:
        give("alice", 100)
    catalogue.deactivate("pdf_export", actor="operator:anna", now=NOW)

    answers = [alice.post("use", by(operation)) for operation in ("task_create", "pdf_export")]

    assert [answer.json()["code"] for answer in answers] == ["unknown_operation"] * 2
    assert statuses(answers) == {400: 2}
    assert not Transaction.objects.filter(type="usage").exists()
    assert Balance.objects.filter(pk="alice").exists() is known


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"amount": 2}, "amount"),
        ({"operation": None}, "amount"),
        ({"operation": None, "quantity": 2}, "amount"),
        ({"operation": None, "amount": 2, "quantity": 2}, "quantity"),
        ({"operation": ""}, "operation"),
        ({"operation": 5}, "operation"),
        ({"operation": "a\x00b"}, "operation"),
        ({"operation": "x" * 65}, "operation"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": "2"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": 1_000_001}, "quantity"),
    ],
)
def test_bad_input_is_refused_by_its_field(
    alice: Caller, service: Caller, fields: dict[str, Any], wrong: str
) -> None:
    give("alice", 100)
    body = {**by("ai_chat_gpt4"), "userId": "alice", "reason": "chat", **fields}

    answers = [alice.post("use", body), service.post("use", body), service.post("reserve", body)]

    assert statuses(answers) == {400: 3}
    assert [list(answer.json()["details"]) for answer in answers] == [[wrong]] * 3
    assert Balance.objects.get(pk="alice").version == 1
    assert not Reservation.objects.exists()


@pytest.mark.parametrize("known", [True, False])
def test_missing_credits_are_named_by_the_price(alice: Caller, known: bool) -> None:
    if known:
        give("alice", 4)

    answer = alice.post("use", by("ai_chat_gpt4", quantity=1_000_000))

    assert answer.status_code == 402
    assert answer.json()["details"] == {"required": 5_000_000, "available": 4 if known else 0}


def test_a_service_spends_by_operation_too(service: Caller) -> None:
    give("alice", 10)

    body = service.post("use", {**by("ai_food_analysis"), "userId": "alice"}).json()

    assert body["transaction"]["amount"] == -3


def test_a_spend_by_operation_is_one_round_trip(
    service: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    give("alice", 10)
    calls: list[str] = []
    fetch = db_functions._fetch

    def counted(sql: str, arguments: Sequence[Any]) -> Any:
        calls.append(sql)
        return fetch(sql, arguments)

    monkeypatch.setattr(db_functions, "_fetch", counted)
    with CaptureQueriesContext(connection) as others:
        service.post("use", {**by("ai_food_analysis"), "userId": "alice"})

    assert (len(calls), len(others)) == (1, 0)


def reserve(service: Caller, **fields: Any) -> Any:
    body = {"userId": "alice", "operation": "ai_research_deep", "reason": "research:openai"}
    return service.post("reserve", {**body, **fields})


def test_a_reservation_holds_the_price_and_its_commit_says_it(service: Caller) -> None:
    give("alice", 100)
    held = reserve(service, quantity=2).json()
    set_price("ai_research_deep", "30")

    committed = service.post("commit", {"reservationId": held["reservationId"]}).json()

    assert held["balance"] == 50
    assert (committed["amount"], committed["balance"]) == (50, 50)
    assert price_of(committed["transactionId"]) == ("ai_research_deep", 25, 2)


def test_a_part_of_a_priced_reservation_is_committed_and_the_price_stays(service: Caller) -> None:
    give("alice", 100)
    held = reserve(service, quantity=2).json()

    committed = service.post(
        "commit", {"reservationId": held["reservationId"], "amount": 25}
    ).json()

    assert (committed["amount"], committed["balance"]) == (25, 75)
    assert price_of(committed["transactionId"]) == ("ai_research_deep", 25, 2)


def test_a_reservation_by_key_is_held_once_at_the_first_price(service: Caller) -> None:
    give("alice", 100)
    first = reserve(service, idempotencyKey="k1").json()

    set_price("ai_research_deep", "30")
    again = reserve(service, idempotencyKey="k1").json()
    catalogue.deactivate("ai_research_deep", actor="operator:anna", now=NOW)
    gone = reserve(service, idempotencyKey="k1").json()

    assert first["balance"] == 75
    assert first == again == gone


@pytest.mark.parametrize("known", [True, False])
def test_a_reservation_needs_a_known_operation_and_its_credits(
    service: Caller, known: bool
) -> None:
    if known:
        give("alice", 10)

    unknown = reserve(service, operation="task_create")
    poor = reserve(service)

    assert (unknown.status_code, unknown.json()["code"]) == (400, "unknown_operation")
    assert (poor.status_code, poor.json()["details"]) == (
        402,
        {"required": 25, "available": 10 if known else 0},
    )
    assert not Reservation.objects.exists()


def test_the_database_wants_a_whole_price() -> None:
    give("alice", 10)
    spent = ledger.spend("alice", Priced("pdf_export"), memo=Memo("presi"), origin=Origin("user"))
    held = reservations.reserve(
        "alice", Priced("pdf_export"), reason="presi", origin=Origin("service")
    ).reservation

    assert spent.transaction.unit_cost == 1
    with (
        pytest.raises(IntegrityError, match="reservation_operation_has_its_price"),
        transaction.atomic(),
        as_owner(),
    ):
        Reservation.objects.filter(pk=held.pk).update(unit_cost=None)


def test_not_even_erasure_changes_a_price() -> None:
    give("alice", 10)
    ledger.spend("alice", Priced("pdf_export"), memo=Memo("presi"), origin=Origin("user"))

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), as_owner():
        Transaction.objects.filter(type="usage").update(
            user_id="erased:1", cause=None, description="", unit_cost=2
        )


def test_concurrent_spends_by_operation_never_overdraw(committed: None, service: Caller) -> None:
    give("alice", 25)

    answers = at_once(10, lambda _: service.post("use", {**by("ai_chat_gpt4"), "userId": "alice"}))

    assert statuses(answers) == {200: 5, 402: 5}
    assert Balance.objects.get(pk="alice").posted == 0


def test_usage_is_counted_on_utc_days_whatever_the_sessions_time_zone(alice: Caller) -> None:
    give("alice", 10)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Pacific/Auckland'")

    for minute in (datetime(2026, 11, 22, 23, 59, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)):
        ledger.spend(
            "alice", Priced("pdf_export"), memo=Memo("presi"), origin=Origin("user", at=minute)
        )

    dates = UsageStat.objects.order_by("date").values_list("date", flat=True)
    assert [str(date) for date in dates] == ["2026-11-22", "2026-11-23"]
