"""Concurrent spends, holds and commits by units."""

from decimal import Decimal
from typing import Any

import pytest

from credits.ledger import books
from credits.models import Balance, Reservation, Transaction
from tests.api import Caller, at_once, statuses, use
from tests.concurrency.test_controls_at_once import capped, patiently, taken_by
from tests.factories import give, meter, wish

pytestmark = pytest.mark.usefixtures("committed")

OPERATION = "ai_chat_gpt4"


def by_units(**units: int) -> dict[str, Any]:
    body = {"userId": "alice", "operation": OPERATION, "units": units, "reason": "chat:x"}
    return {**body, "appId": "chat", "description": "An answer"}


def reserve(service: Caller, **units: int) -> str:
    held: str = patiently(service, "reserve", by_units(**units)).json()["reservationId"]
    return held


def commit(reservation: str, **units: int) -> dict[str, Any]:
    return {"reservationId": reservation, "units": units}


def test_commits_above_their_holds_share_what_is_available(service: Caller) -> None:
    give("alice", 25)
    meter()
    held = [reserve(service, inputTokens=2500) for _ in range(20)]

    answers = at_once(
        20, lambda index: patiently(service, "commit", commit(held[index], inputTokens=5000))
    )

    assert statuses(answers) == {200: 20}
    bodies = [answer.json() for answer in answers]
    assert sum(body["amount"] for body in bodies) == 25
    assert sum(body["unpaid"] for body in bodies) == 15
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.held) == (0, 0)


def test_commits_above_their_holds_may_overdraw_together(service: Caller) -> None:
    give("alice", 20)
    meter(may_overdraw=True)
    held = [reserve(service, inputTokens=2500) for _ in range(20)]

    answers = at_once(
        20, lambda index: patiently(service, "commit", commit(held[index], inputTokens=5000))
    )

    assert [(one.json()["amount"], one.json()["unpaid"]) for one in answers] == [(2, 0)] * 20
    assert Balance.objects.get(pk="alice").posted == -20


def test_twenty_equal_commits_above_a_hold_have_one_answer(service: Caller) -> None:
    give("alice", 3)
    meter()
    body = commit(reserve(service, inputTokens=2500), inputTokens=10_000)

    answers = at_once(20, lambda _: patiently(service, "commit", body))

    assert statuses(answers) == {200: 20}
    assert {(one.json()["amount"], one.json()["unpaid"]) for one in answers} == {(3, 1)}
    assert Transaction.objects.filter(type="usage").count() == 1


def test_of_commits_with_different_units_one_wins(service: Caller) -> None:
    give("alice", 10)
    meter()
    held = reserve(service, inputTokens=2500)

    answers = at_once(
        20, lambda index: patiently(service, "commit", commit(held, inputTokens=index))
    )

    assert statuses(answers) == {200: 1, 409: 19}
    codes = {one.json()["code"] for one in answers if one.status_code == 409}
    assert codes == {"reservation_committed"}


@pytest.mark.slow
def test_units_keys_caps_and_a_limit_meet_in_a_storm(service: Caller) -> None:
    """A capped key and the shared one use units across a user's limit, while prices change."""
    give("alice", 1000)
    wish("alice", monthly_limit=60)
    meter(minimum="0.5")
    bot = capped("bot", 15)
    held = [reserve(caller, inputTokens=2500) for caller in (bot, service) for _ in range(10)]

    def act(index: int) -> Any:
        caller = bot if index % 5 < 2 else service
        if index % 40 == 7:
            meter(minimum="0.5", inputTokens=f"0.{4 + index % 3}", outputTokens="1.2")
        if index % 4 == 0:
            return patiently(
                caller, "commit", commit(held[index // 4 % 20], inputTokens=index * 30)
            )
        if index % 4 == 1:
            items = [by_units(inputTokens=1250), use(1, userId="alice"), by_units(pages=1)]
            return patiently(caller, "use/batch", {"items": items})
        if index % 4 == 2:
            keyed = {**by_units(outputTokens=500), "idempotencyKey": f"k{index % 8}"}
            return patiently(caller, "use", keyed)
        return patiently(caller, "reserve", by_units(outputTokens=500))

    answers = at_once(160, act)

    assert set(statuses(answers)) <= {200, 402, 403, 409}
    # The last commits may release a part of their holds, so the limit need not be used up.
    spent = 1000 - Balance.objects.get(pk="alice").available
    above = service.post("use", use(float(60 - spent) + 0.0001, userId="alice")).json()
    assert (above["code"], spent <= 60) == ("spending_limit_reached", True)
    assert above["details"] == {"limit": 60, "spent": float(spent), "app": None}
    assert taken_of("service:bot") <= 15
    assert books.check(["alice"]) == []


def taken_of(actor: str) -> Decimal:
    """Return what an actor has spent and still holds."""
    settled = Reservation.objects.filter(actor=actor).exclude(status="open")
    return taken_by(actor) - sum((one.amount for one in settled), Decimal(0))
