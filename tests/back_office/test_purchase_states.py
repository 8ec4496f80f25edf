"""The page of a purchase offers each act exactly in the states in which it can be done."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from credits.ledger.posting import Origin
from credits.models import Purchase
from credits.models.purchases import PAID
from credits.payments import purchases
from credits.payments.purchases import NotCreditable
from tests.back_office.operators import browser
from tests.credits.test_money_back import paid, started

# The books break, because no refund or dispute explains the statuses.
pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]

NOW = datetime.now(UTC)
OPEN = {"quarantined_at": NOW, "quarantine_reason": "x"}
LEFT = {
    **OPEN,
    "quarantine_resolved_at": NOW,
    "quarantine_resolution": "left",
    "quarantine_resolved_by": "operator:fiona",
    "quarantine_resolved_why": "x",
}
REVIEWS: dict[str, dict[str, Any]] = {"none": {}, "open": OPEN, "left": LEFT}


@pytest.fixture
def fiona() -> Client:
    """Return a browser of a finance operator."""
    return browser("fiona")


def purchase(status: str, **fields: Any) -> Purchase:
    """Return a purchase of that status."""
    made = paid() if status in PAID else started()
    Purchase.objects.update(status=status, stripe_payment_intent_id="pi_1", **fields)
    return made


def text(client: Client, found: Purchase) -> str:
    """Return the words of the purchase's page."""
    page = client.get(f"/admin/purchase/{found.pk}/").content.decode()
    return " ".join(strip_tags(page.replace("<", " <")).split())


@pytest.mark.parametrize("review", REVIEWS)
@pytest.mark.parametrize("status", Purchase.Status.values)
def test_a_refund_and_a_decision_are_offered_exactly_where_they_can_be_made(
    fiona: Client, status: str, review: str
) -> None:
    found = purchase(status, **REVIEWS[review])

    page = text(fiona, found)
    form = fiona.get(f"/admin/purchase/{found.pk}/refund/").content.decode()

    possible = status in PAID or review != "none"
    assert ("Refund purchase" in page) == possible
    assert ('name="amount"' in form) == possible
    assert ("Leave uncredited" in page) == (review == "open")


@pytest.mark.parametrize("intent", [None, "pi_other"])
@pytest.mark.parametrize("status", Purchase.Status.values)
def test_crediting_is_offered_exactly_where_it_can_be_done(
    fiona: Client, status: str, intent: str | None
) -> None:
    found = purchase(status, **OPEN, quarantined_intent=intent)

    page = text(fiona, found)
    now = datetime.now(UTC)
    try:
        origin = Origin("operator:fiona")
        purchases.resolve_quarantine(found.pk, credit=True, reason="x", origin=origin, now=now)
        credited = True
    except NotCreditable:
        credited = False

    assert ("Credit it" in page) == credited == (status not in PAID and intent is not None)


def test_a_failed_automatic_purchase_says_who_made_it_and_why_it_failed(fiona: Client) -> None:
    found = purchase("failed", stripe_payment_method_id="pm_1", failure_code="card_declined")

    page = text(fiona, found)

    assert "Made by Automatic top-up Failed because card declined" in page
    assert "Refund purchase" not in page
