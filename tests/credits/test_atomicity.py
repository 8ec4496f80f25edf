"""Functions that need their caller's transaction raise without one."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction

from credits.ledger import bulk_posting, idempotency
from credits.ledger.posting import Origin
from credits.models import IdempotencyKey, OutboxMessage
from credits.outbox import outbox
from credits.payments import money_back
from credits.postgresql.atomicity import TransactionRequired

pytestmark = pytest.mark.usefixtures("committed")

NOW = datetime(2027, 1, 31, tzinfo=UTC)
ORIGIN = Origin("user", key="k1").naming("test")


@pytest.mark.parametrize(
    "act",
    [
        lambda: idempotency.find("alice", ORIGIN),
        lambda: idempotency.record("alice", ORIGIN),
        lambda: bulk_posting.post_all([]),
        lambda: outbox.tell("alice", {}, key="k", now=NOW),
        lambda: money_back.lock_payment("pi_1"),
    ],
)
def test_without_a_transaction_nothing_is_done(act: Callable[[], Any]) -> None:
    with pytest.raises(TransactionRequired, match=r"^\w+ needs a transaction$"):
        act()

    assert not IdempotencyKey.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_within_one_the_key_is_recorded_and_found() -> None:
    with transaction.atomic():
        assert idempotency.find("alice", ORIGIN) is None
        idempotency.record("alice", ORIGIN)
        known = idempotency.find("alice", ORIGIN)

    assert IdempotencyKey.objects.get(user_id="alice", key="k1").subject_id == known
