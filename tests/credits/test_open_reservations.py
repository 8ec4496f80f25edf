"""Users see what their held credits are for, and until when."""

from decimal import Decimal

import pytest

from credits.ledger import reservations
from credits.ledger.posting import Origin
from tests.api import Caller
from tests.factories import give, hold

pytestmark = pytest.mark.django_db


def test_open_reservations_are_listed_and_settled_ones_are_not(alice: Caller, bob: Caller) -> None:
    give("alice", 100)
    first = hold("alice", 12.5)
    released, committed = hold("alice", 5), hold("alice", 3)
    last = hold("alice", 2)
    reservations.release(released.pk, origin=Origin("service"))
    reservations.commit(
        committed.pk, amount=Decimal(3), description="done", origin=Origin("service")
    )

    listed = alice.get("reservations").json()

    assert [one["amount"] for one in listed] == [12.5, 2]
    assert sum(one["amount"] for one in listed) == alice.get("balance").json()["held"]
    moments = [one["expiresAt"] for one in listed]
    assert moments == [
        one.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for one in (first, last)
    ]
    assert listed[0]["reason"] == "research:openai"
    assert (listed[0]["operation"], listed[0]["appId"]) == (None, first.app_id)
    assert bob.get("reservations").json() == []
