"""Credits that come back to the lot of a grant that was reversed: the reversal took them before."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from credits.ledger import credit_expiry, ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, CreditLot
from tests.factories import give, spend

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + timedelta(days=3)
AFTER = SOON + timedelta(minutes=1)
SYSTEM = Origin("system")
MEMO = Memo(description="for the test")


def expired() -> list[str]:
    return list(credit_expiry.expire_due(now=AFTER, limit=10))


def test_a_refund_to_the_lot_of_a_reversed_grant_never_expires() -> None:
    give("alice", 100)
    granted = give("alice", 10, expires_at=SOON)
    used = spend("alice", 8)
    ledger.reverse(granted.transaction.pk, memo=MEMO, origin=SYSTEM)

    ledger.refund("alice", Decimal(8), memo=MEMO, origin=SYSTEM, usage_id=used.transaction.pk)

    lot = CreditLot.objects.get(pk=granted.transaction.pk)
    assert (lot.remaining, lot.repaid) == (0, 8)
    assert expired() == []
    ledger.ensure_balance("alice", origin=Origin("system", at=AFTER))
    assert Balance.objects.get(pk="alice").posted == 100


def test_a_hold_of_a_reversed_grant_never_expires() -> None:
    give("alice", 100)
    granted = give("alice", 10, expires_at=SOON)
    held = reservations.reserve("alice", Decimal(8), reason="chat", origin=SYSTEM)
    ledger.reverse(granted.transaction.pk, memo=MEMO, origin=SYSTEM)

    reservations.release(held.reservation.pk, origin=SYSTEM)

    assert expired() == []
    ledger.ensure_balance("alice", origin=Origin("system", at=AFTER))
    assert Balance.objects.get(pk="alice").posted == 100
