"""What the worker does for Stripe's side."""

from datetime import UTC, datetime
from unittest.mock import patch

import pytest

from credits import worker
from credits.models import Balance, JobRun, Package
from tests.api import Caller
from tests.stripe import Stripe, deliver
from webhooks import jobs
from webhooks.models import StripeEvent
from webhooks.reconciling import DoesNotReconcile, Finding

pytestmark = pytest.mark.django_db


def buy(alice: Caller, starter: Package, stripe: Stripe) -> None:
    """Let alice buy and pay; nobody delivers the events."""
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
    with patch("credits.purchases.complete", side_effect=RuntimeError("a defect")):
        for event in stripe.events():
            deliver(event)
    received = StripeEvent.objects.filter(processed_at=None).earliest("received_at").received_at
    oldest = jobs.oldest_unprocessed()

    outcomes = worker.run(worker.jobs()["process_stripe_events"], now=datetime.now(UTC))

    assert oldest == received
    assert outcomes == {"processed": 1}
    assert jobs.oldest_unprocessed() is None
    assert Balance.objects.get(pk="alice").posted == 500


def test_what_stands_on_one_side_only_fails_the_nightly_run() -> None:
    foreign = Finding("payment pi_1", unexplained="no purchase here")

    with (
        patch("webhooks.jobs.Check.run", return_value=iter([foreign])),
        pytest.raises(DoesNotReconcile, match="1 differences are unexplained"),
    ):
        worker.run(worker.jobs()["reconcile_stripe"], now=datetime.now(UTC))

    assert JobRun.objects.get(pk="reconcile_stripe").failed_at is not None
