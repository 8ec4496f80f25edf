"""Concurrent grants and refunds: each takes effect once."""

import pytest

from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, Transaction
from tests.api import Caller, at_once, statuses
from tests.factories import SYSTEM, give, spend

pytestmark = pytest.mark.usefixtures("committed")


def test_twenty_grants_with_one_reference_give_once(service: Caller) -> None:
    body = {"userId": "new", "amount": 50, "reason": "welcome", "referenceId": "signup"}

    answers = at_once(20, lambda _: service.post("grant", body))

    assert statuses(answers) == {200: 20}
    bodies = [answer.json() for answer in answers]
    assert sum(body["alreadyGranted"] for body in bodies) == 19
    assert len({body["transactionId"] for body in bodies}) == 1
    assert {body["newBalance"] for body in bodies} == {50}
    assert Balance.objects.get(pk="new").total_earned == 50


def test_twenty_refunds_with_one_key_refund_once(service: Caller) -> None:
    give("alice", 100)
    spend("alice", 30)
    body = {"userId": "alice", "amount": 10, "description": "failed", "idempotencyKey": "r1"}

    answers = at_once(20, lambda _: service.post("refund", body))

    assert statuses(answers) == {200: 20}
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.total_earned, balance.total_spent) == (80, 100, 20)


def test_refunds_of_one_usage_never_exceed_it(service: Caller) -> None:
    give("alice", 100)
    usage = spend("alice", 5).transaction
    body = {
        "userId": "alice",
        "amount": 1,
        "description": "failed",
        "transactionId": str(usage.pk),
    }

    answers = at_once(20, lambda _: service.post("refund", body))

    assert statuses(answers) == {200: 5, 400: 15}
    assert Balance.objects.get(pk="alice").posted == 100
    assert Transaction.objects.filter(related=usage).count() == 5


def test_uses_and_refunds_lose_no_update(service: Caller) -> None:
    """The earlier service lost concurrent updates of the lifetime totals."""
    give("alice", 1000)
    spend("alice", 100)

    def act(index: int) -> object:
        body = {"userId": "alice", "amount": 5, "description": "x", "appId": "chat"}
        return service.post("use" if index % 2 else "refund", body)

    answers = at_once(40, act)

    assert statuses(answers) == {200: 40}
    balance = Balance.objects.get(pk="alice")
    assert (balance.total_spent, balance.total_earned, balance.last_number) == (100, 1000, 42)


def test_a_transaction_is_reversed_once() -> None:
    give("alice", 100)
    usage = spend("alice", 30).transaction

    postings = at_once(
        10,
        lambda _: ledger.reverse(usage.pk, memo=Memo(), origin=Origin("operator:anna")),
    )

    assert sum(not posting.replayed for posting in postings) == 1
    assert Balance.objects.get(pk="alice").posted == 100


def test_a_refund_and_a_reversal_of_one_usage_give_back_only_once() -> None:
    give("alice", 100)
    usage = spend("alice", 30).transaction

    def act(index: int) -> str:
        try:
            if index % 2:
                ledger.reverse(usage.pk, memo=Memo(), origin=SYSTEM)
            else:
                ledger.refund("alice", -usage.amount, memo=Memo(), origin=SYSTEM, usage_id=usage.pk)
        except DomainError as error:
            return error.code
        return "given back"

    outcomes = at_once(10, act)

    assert set(outcomes) <= {"given back", "exceeds_original"}
    assert Balance.objects.get(pk="alice").posted == 100
    assert Transaction.objects.filter(related=usage).count() == 1
