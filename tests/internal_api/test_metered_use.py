"""Services spend, reserve and commit by units of a metered operation."""

from decimal import Decimal
from typing import Any

import pytest

from credits.models import Balance, Reservation, Transaction
from internal_api import known_keys
from internal_api.models import ServiceKey
from tests.api import Answer, Caller
from tests.factories import give, meter
from tests.internal_api.test_scoped_keys import fresh_keys, key  # noqa: F401
from tests.round_trips import statements

pytestmark = pytest.mark.django_db

METERING = {
    "units": {"inputTokens": 1200, "outputTokens": 300},
    "unitCosts": {"inputTokens": 0.4, "outputTokens": 1.2},
    "minimum": None,
    "version": 2,
    "unpaid": 0,
}


def by_units(operation: str | None = "ai_chat_gpt4", **fields: Any) -> dict[str, Any]:
    """Return the request body of a spend by units."""
    units = {"inputTokens": 1200, "outputTokens": 300}
    body = {"userId": "alice", "operation": operation, "appId": "chat", "units": units}
    return {**body, "description": "An answer", **fields}


def reservation(service: Caller, **units: int) -> str:
    body = {"userId": "alice", "operation": "ai_chat_gpt4", "reason": "chat", "units": units}
    held: str = service.post("reserve", body).json()["reservationId"]
    return held


def refusal(answer: Answer) -> tuple[int, str, Any]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("details")


def posted() -> Any:
    return Balance.objects.get(pk="alice").posted


def test_a_use_by_units_tells_how_it_was_priced(service: Caller) -> None:
    give("alice", 10)
    meter()

    answer = service.post("use", by_units())

    assert answer.status_code == 200
    assert answer.json()["transaction"]["amount"] == -0.84
    assert answer.json()["transaction"]["metering"] == METERING
    assert answer.json()["newBalance"]["balance"] == 9.16


def test_a_user_spends_by_units(alice: Caller) -> None:
    give("alice", 10)
    meter()
    body = {name: value for name, value in by_units().items() if name != "userId"}

    answer = alice.post("use", body)

    assert answer.json()["transaction"]["amount"] == -0.84
    (listed,) = (one for one in alice.get("transactions").json() if one["type"] == "usage")
    assert listed["metering"] == METERING


def test_other_transactions_have_no_metering(service: Caller, alice: Caller) -> None:
    give("alice", 10)

    spent = service.post("use", by_units(units=None))

    assert spent.status_code == 200
    assert "metering" not in spent.json()["transaction"]
    assert not any("metering" in one for one in alice.get("transactions").json())


@pytest.mark.parametrize(
    "units",
    [
        {},
        {"input_tokens": 1},
        {"inputTokens": -1},
        {"inputTokens": 1.5},
        {"inputTokens": True},
        {"inputTokens": "1"},
        {"inputTokens": None},
        {"inputTokens": 10**12 + 1},
        [],
        "1",
        7,
        {f"u{n}": 1 for n in range(17)},
        {"a" * 65: 1},
        {"": 1},
        {"a\u0000": 1},
    ],
)
def test_invalid_units_are_refused(service: Caller, units: Any) -> None:
    give("alice", 10)
    meter()
    held = reservation(service, inputTokens=10)

    answers = [
        service.post("use", by_units(units=units)),
        service.post("reserve", by_units(units=units, reason="chat")),
        service.post("commit", {"reservationId": held, "units": units}),
    ]

    for answer in answers:
        assert answer.status_code == 400
        assert list(answer.json()["details"]) == ["units"]
    assert posted() == 10


def test_a_whole_number_may_have_a_fraction_of_zero(service: Caller) -> None:
    give("alice", 10)
    meter()

    answer = service.post("use", by_units(units={"inputTokens": 1000.0}))

    assert answer.json()["transaction"]["amount"] == -0.4


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"quantity": 1}, "quantity"),
        ({"amount": 1}, "amount"),
        ({"operation": None}, "amount"),
        ({"operation": None, "amount": 1}, "units"),
    ],
)
def test_units_stand_alone_with_an_operation(
    service: Caller, fields: dict[str, Any], field: str
) -> None:
    give("alice", 10)
    meter()

    for answer in (
        service.post("use", by_units(**fields)),
        service.post("reserve", by_units(reason="chat", **fields)),
    ):
        assert refusal(answer)[:2] == (400, "validation_failed")
        assert list(answer.json()["details"]) == [field]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"units": None}, "units_required"),
        ({"operation": "pdf_export"}, "operation_not_metered"),
        ({"units": {"imageTokens": 1}}, "unknown_unit"),
        ({"operation": "teleport"}, "unknown_operation"),
    ],
)
def test_units_must_fit_the_operation(service: Caller, fields: dict[str, Any], code: str) -> None:
    give("alice", 10)
    meter()

    used = service.post("use", by_units(**fields))
    held = service.post("reserve", by_units(reason="chat", **fields))
    batch = service.post("use/batch", {"items": [by_units(**fields), by_units()]})

    assert refusal(used)[:2] == refusal(held)[:2] == (400, code)
    refused, spent = batch.json()["items"]
    assert (refused["outcome"], refused["statusCode"], refused["code"]) == ("refused", 400, code)
    assert (spent["outcome"], spent["transaction"]["metering"]) == ("posted", METERING)


def test_a_refused_price_costs_no_further_statement(service: Caller) -> None:
    give("alice", 10)
    meter()

    count, answer = statements(lambda: service.post("use", by_units(units={"imageTokens": 1})))

    assert (count, answer.json()["code"]) == (1, "unknown_unit")


def test_a_commit_prices_what_was_used(service: Caller) -> None:
    give("alice", 10)
    meter()
    held = reservation(service, inputTokens=2000, outputTokens=1000)
    body = {"reservationId": held, "units": {"inputTokens": 1200, "outputTokens": 300}}

    answer = service.post("commit", body)

    entry = Transaction.objects.get(type="usage")
    expected = {"success": True, "transactionId": str(entry.pk), "amount": 0.84}
    assert answer.json() == {**expected, "balance": 9.16, "unpaid": 0}
    assert service.post("commit", body).json() == answer.json()
    other = service.post("commit", {**body, "units": {"inputTokens": 1200}})
    assert refusal(other)[:2] == (409, "reservation_committed")


def test_a_commit_tells_what_could_not_be_taken(service: Caller) -> None:
    give("alice", 1)
    meter()
    held = reservation(service, inputTokens=1000)

    answer = service.post("commit", {"reservationId": held, "units": {"inputTokens": 10_000}})

    assert (answer.json()["amount"], answer.json()["unpaid"]) == (1, 3)
    assert answer.json()["balance"] == 0


def test_a_commit_takes_an_amount_or_units(service: Caller) -> None:
    give("alice", 10)
    meter()
    held = reservation(service, inputTokens=1000)

    both = {"reservationId": held, "units": {"inputTokens": 1}, "amount": 0.1}

    assert refusal(service.post("commit", both))[:2] == (400, "validation_failed")
    by_amount = service.post("commit", {"reservationId": held, "amount": 0.1})
    assert refusal(by_amount)[:2] == (400, "units_required")
    unknown = service.post("commit", {"reservationId": held, "units": {"imageTokens": 1}})
    assert refusal(unknown)[:2] == (400, "unknown_unit")


def test_units_for_a_plain_reservation_are_refused(service: Caller) -> None:
    give("alice", 10)
    body = {"userId": "alice", "amount": 1, "reason": "chat"}
    held = service.post("reserve", body).json()["reservationId"]

    answer = service.post("commit", {"reservationId": held, "units": {"inputTokens": 1}})

    assert refusal(answer)[:2] == (400, "operation_not_metered")


def test_the_order_of_units_does_not_matter_in_a_replay(service: Caller) -> None:
    give("alice", 10)
    meter()
    first = service.post("use", by_units(idempotencyKey="k"))
    turned = {"outputTokens": 300, "inputTokens": 1200.0}

    again = service.post("use", by_units(idempotencyKey="k", units=turned))
    other = service.post("use", by_units(idempotencyKey="k", units={"inputTokens": 1200}))

    assert again.json()["transaction"] == first.json()["transaction"]
    assert refusal(other)[:2] == (409, "idempotency_key_reused")


def test_a_commit_above_its_hold_counts_against_the_cap() -> None:
    give("alice", 100)
    meter(may_overdraw=True)
    service = key(daily_spend_per_user=Decimal(5))
    service.prefix += "credits/"
    held = reservation(service, inputTokens=10_000)

    unknown = service.post("commit", {"reservationId": held, "units": {"imageTokens": 1}})
    above = service.post("commit", {"reservationId": held, "units": {"inputTokens": 12_501}})

    assert refusal(unknown)[:2] == (400, "unknown_unit")
    assert refusal(above) == (403, "cap_reached", {"cap": "daily_spend_per_user", "limit": 5})
    assert Reservation.objects.get().status == "open"
    within = service.post("commit", {"reservationId": held, "units": {"inputTokens": 12_500}})
    assert within.json()["amount"] == 5


def test_the_cap_does_not_refuse_a_commit_within_its_hold() -> None:
    give("alice", 100)
    meter()
    bot = key(daily_spend_per_user=Decimal(4))
    bot.prefix += "credits/"
    held = reservation(bot, inputTokens=10_000)
    ServiceKey.objects.update(daily_spend_per_user=1)
    known_keys.KNOWN.forget()

    answer = bot.post("commit", {"reservationId": held, "units": {"inputTokens": 10_000}})

    assert (answer.status_code, answer.json()["amount"]) == (200, 4)


def test_the_list_of_operations_tells_the_prices_by_unit(alice: Caller) -> None:
    before = alice.get("/api/v1/credits/operations").json()
    meter(minimum="0.01")

    after = alice.get("/api/v1/credits/operations").json()

    listed = {one["operation"]: one for one in after}
    assert listed["ai_chat_gpt4"]["cost"] is None
    assert listed["ai_chat_gpt4"]["unitCosts"] == {"inputTokens": 0.4, "outputTokens": 1.2}
    assert listed["ai_chat_gpt4"]["minimum"] == 0.01
    assert [one for one in after if one["cost"] is not None] == [
        one for one in before if one["operation"] != "ai_chat_gpt4"
    ]
    assert not any("unitCosts" in one for one in before)
    pricing = alice.get("/api/v1/credits/pricing").json()
    assert "ai_chat_gpt4" not in pricing["operationCosts"]
