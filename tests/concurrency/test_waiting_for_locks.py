"""Somebody else holds the user's balance for too long."""

import pytest
from django.db import transaction

from credits.models import Balance
from tests.api import Caller, at_once, use
from tests.factories import give

pytestmark = pytest.mark.usefixtures("committed")


def test_a_spend_does_not_wait_for_ever_and_can_be_sent_again(service: Caller) -> None:
    give("alice", 10)
    body = use(1, userId="alice", idempotencyKey="k1")

    with transaction.atomic():
        Balance.objects.select_for_update().get(pk="alice")
        (refused,) = at_once(1, lambda _: service.post("use", body))
    answered = service.post("use", body)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert refused.json()["code"] == "database_unavailable"
    assert answered.status_code == 200
    assert Balance.objects.get(pk="alice").posted == 9
