"""Worker jobs for Stripe events."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from credits import worker
from credits.models import Balance, JobRun, Package
from credits.payments.findings import Finding
from credits.payments.reconciliation import DoesNotReconcile
from tests.api import Caller
from tests.stripe import Stripe, deliver
from webhooks import jobs
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def buy(alice: Caller, starter: Package, stripe: Stripe) -> None:
    """Buy and pay as alice, without delivering the events."""
    purchase_id = alice.post("purchase", {"packageId": str(starter.pk)}).json()["purchaseId"]
    stripe.pay(purchase_id)


def test_a_purchase_whose_events_are_lost_is_found_at_night(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    buy(alice, starter, stripe)

    outcomes = worker.run(worker.jobs()["reconcile_stripe"], now=datetime.now(UTC))

    assert outcomes["applied"] == 1
    assert Balance.objects.get(pk="alice").posted == 500


def test_an_event_that_failed_is_applied_again(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    buy(alice, starter, stripe)
    with patch("credits.payments.purchases.complete", side_effect=RuntimeError("a defect")):
        for event in stripe.events():
            deliver(event)
    received = StripeEvent.objects.filter(processed_at=None).earliest("received_at").received_at
    oldest = jobs.oldest_unprocessed(NOW)

    outcomes = worker.run(worker.jobs()["process_stripe_events"], now=datetime.now(UTC))

    assert oldest == received
    assert outcomes == {"processed": 1}
    assert jobs.oldest_unprocessed(NOW) is None
    assert Balance.objects.get(pk="alice").posted == 500


def test_what_stands_on_one_side_only_fails_the_nightly_run() -> None:
    foreign = Finding("payment pi_1", unexplained="no purchase here")

    with (
        patch("credits.jobs.Reconciliation.run", return_value=iter([foreign])),
        pytest.raises(DoesNotReconcile, match="1 unexplained difference"),
    ):
        worker.run(worker.jobs()["reconcile_stripe"], now=datetime.now(UTC))

    assert JobRun.objects.get(pk="reconcile_stripe").failed_at is not None


def event(name: str, *, days: int, processed: bool = True) -> None:
    """Store an event that arrived this many days ago."""
    at = NOW - timedelta(days=days)
    StripeEvent.objects.create(
        id=name,
        type="customer.created",
        payload=f'{{"id": "{name}"}}',
        created_at=at,
        received_at=at,
        processed_at=at if processed else None,
        outcome="ignored" if processed else None,
    )


def emptied() -> list[str]:
    """Run the job. Return the ids of events without a payload."""
    worker.run(worker.jobs()["empty_event_payloads"], now=NOW)
    return sorted(StripeEvent.objects.filter(payload="").values_list("pk", flat=True))


def test_payloads_of_old_processed_events_are_deleted() -> None:
    event("evt_1", days=401)
    event("evt_2", days=402)
    event("evt_waiting", days=500, processed=False)
    event("evt_young", days=400)

    with patch("credits.due_rows.CHANGED_AT_ONCE", 1):
        first, second = emptied(), emptied()

    assert first == second == ["evt_1", "evt_2"]
    assert JobRun.objects.get().result == {}  # the second run finds nothing to do
    kept = StripeEvent.objects.get(pk="evt_1")
    assert (kept.type, kept.outcome) == ("customer.created", "ignored")
    assert kept.processed_at == kept.received_at == NOW - timedelta(days=401)


def test_an_event_that_was_forgotten_is_still_known_when_it_comes_again() -> None:
    event("evt_1", days=401)
    emptied()

    answer = deliver({"id": "evt_1", "type": "customer.created", "created": 1764000000})

    assert answer.status_code == 200
    assert StripeEvent.objects.get().payload == ""


def test_events_may_be_kept_for_ever(settings: Any) -> None:
    settings.STRIPE_PAYLOADS_KEPT_DAYS = 0
    event("evt_1", days=4000)

    assert emptied() == []
