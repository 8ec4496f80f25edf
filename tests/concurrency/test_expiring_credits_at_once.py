"""Concurrent movements while credits expire. The books are checked after each test."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from credits.ledger import credit_expiry
from credits.models import Balance, CreditLot, LotUse, Transaction
from tests.api import Caller, at_once, statuses, use
from tests.factories import give, lapse

pytestmark = pytest.mark.usefixtures("committed")

USERS = [f"user-{number}" for number in range(4)]


def far(days: int = 3) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_forty_spends_take_each_credit_of_the_lots_once(service: Caller) -> None:
    for days in range(1, 6):
        give("alice", 4, expires_at=far(days))
    give("alice", 5)

    answers = at_once(40, lambda _: service.post("use", use(1, userId="alice")))

    assert statuses(answers) == {200: 25, 402: 15}
    assert {lot.remaining for lot in CreditLot.objects.all()} == {0}
    assert sum(one.taken for one in LotUse.objects.all()) == 20


def test_ten_workers_and_a_spender_expire_a_lot_once(service: Caller) -> None:
    give("alice", 10, expires_at=datetime.now(UTC) + timedelta(days=1))
    give("alice", 1)
    lapse("alice")

    def act(index: int) -> Any:
        try:
            if index % 2:
                return service.post("use", use(1, userId="alice")).status_code
            return list(credit_expiry.expire_due(now=datetime.now(UTC), limit=10))
        finally:
            connection.close()

    answers = at_once(20, act)

    assert [answer for answer in answers if answer == 200] == [200]
    assert Transaction.objects.filter(type="expiry").count() == 1
    assert Balance.objects.get().posted == 0


def test_a_storm_of_all_verbs_while_credits_expire(service: Caller) -> None:
    for user_id in USERS:
        give(user_id, 20)
        for tenth in range(1, 16):
            # From now, because a busy machine may need seconds for all grants.
            expires_at = datetime.now(UTC) + timedelta(milliseconds=300 * tenth)
            give(user_id, 3, expires_at=expires_at)

    def act(index: int) -> list[Any]:
        chance = random.Random(index)
        try:
            return [step(service, chance) for _ in range(25)]
        finally:
            connection.close()

    answers = [status for some in at_once(8, act) for status in some]

    assert set(answers) <= {200, 400, 402, 409}
    assert answers.count(200) > 100
    assert Transaction.objects.filter(type="expiry").exists()
    assert LotUse.objects.exists()


def step(service: Caller, chance: random.Random) -> Any:
    """Make one random request, or run the job. Return the status."""
    user_id = chance.choice(USERS)
    verb = chance.choice(["use", "batch", "hold", "refund", "grant", "job"])
    if verb == "job":
        list(credit_expiry.expire_due(now=datetime.now(UTC), limit=100))
        return 200
    if verb == "use":
        return service.post("use", use(chance.choice([0.5, 1, 2]), userId=user_id)).status_code
    if verb == "batch":
        items = [use(0.25, userId=chance.choice(USERS)) for _ in range(6)]
        return service.post("use/batch", {"items": items}).status_code
    if verb == "grant":
        body = {"userId": user_id, "amount": 1, "reason": "x", "referenceId": str(chance.random())}
        expires = (datetime.now(UTC) + timedelta(milliseconds=500)).isoformat()
        return service.post("grant", {**body, "expiresAt": expires}).status_code
    if verb == "refund":
        return refund(service, chance, user_id)
    return hold(service, chance, user_id)


def refund(service: Caller, chance: random.Random, user_id: str) -> Any:
    usages = list(Transaction.objects.filter(user_id=user_id, type="usage")[:50])
    if not usages:
        return 200
    usage = chance.choice(usages)
    body = {"userId": user_id, "amount": 0.25, "description": "x", "transactionId": str(usage.pk)}
    return service.post("refund", body).status_code


def hold(service: Caller, chance: random.Random, user_id: str) -> Any:
    held = service.post("reserve", {"userId": user_id, "amount": 2, "reason": "chat"})
    if held.status_code != 200:
        return held.status_code
    body = {"reservationId": held.json()["reservationId"]}
    if chance.random() < 0.5:
        return service.post("refund-reservation", body).status_code
    return service.post("commit", {**body, "amount": chance.choice([0.5, 1, 2])}).status_code
