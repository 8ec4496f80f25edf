"""Round trips: creating or redeeming a gift takes one statement, an invalid code two."""

import pytest

from gifts.models import GiftCode
from tests.api import Caller
from tests.factories import gift, give
from tests.round_trips import statements

pytestmark = pytest.mark.usefixtures("committed")


def test_creating_a_gift_is_one_statement(alice: Caller) -> None:
    give("alice", 10)

    count, answer = statements(lambda: alice.post("/api/v1/gifts", {"totalCredits": 5}))

    assert (count, answer.status_code) == (1, 201)
    assert GiftCode.objects.get().status == "active"


def test_redeeming_a_gift_is_one_statement(bob: Caller) -> None:
    give("alice", 10)
    made = gift("alice", 5)

    count, answer = statements(lambda: bob.post(f"/api/v1/gifts/{made.code}/redeem", {}))

    assert (count, answer.status_code) == (1, 200)
    assert answer.json()["newBalance"] == 5


def test_a_wrong_code_is_counted_by_a_second_statement(bob: Caller) -> None:
    count, answer = statements(lambda: bob.post("/api/v1/gifts/ABCDEFGHJKLM/redeem", {}))

    assert (count, answer.status_code) == (2, 404)
