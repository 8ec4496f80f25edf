"""The sandbox's demo data has rows for every list of the back office, and all their pages open."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from credits.models import (
    AccountSettings,
    ActRequest,
    CreditLot,
    OutboxMessage,
    Purchase,
    Transaction,
)
from internal_api.models import ServiceKey
from mana_credits.dev.sandbox import receivers
from mana_credits.dev.sandbox.demo_operators import seed_desk, seed_staff
from mana_credits.dev.sandbox.seed import seed, seed_community, seed_packages
from mana_credits.service_events.models import EventMessage, EventSubscription
from tests.owner import as_owner
from tests.stripe import Stripe
from webhooks.models import StripeEvent

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

ROWS_OPENED = 3


@pytest.fixture
def desk(settings: Any, stripe: Stripe) -> Client:
    """Seed the sandbox's data, and return the browser of its administrator."""
    with receivers.serving() as url, as_owner():
        settings.ADMIN_REQUIRE_2FA = False
        settings.MANA_NOTIFY_URL = url
        settings.EVENT_HOSTS = [url.removeprefix("http://")]
        settings.EVENT_HOSTS_MAY_BE_LOCAL = True
        seed_staff()
        seed()
        seed_desk()
        seed_packages()
        assert seed_community()
        assert not seed_community()
    client = Client()
    client.force_login(
        User.objects.get(username="ada"), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def states(model: Any) -> Counter[str]:
    return Counter(one.status for one in model.objects.all())


def test_every_list_has_rows_and_every_row_has_a_page(desk: Client) -> None:
    for model, shown in admin.site._registry.items():
        options = model._meta
        address = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
        answer = desk.get(address)
        rows = answer.context["cl"].result_list

        assert answer.status_code == 200, address
        assert rows, f"{address} is empty"
        for row in rows[:ROWS_OPENED]:
            page = desk.get(
                f"{address}{shown.model._meta.pk.value_to_string(row)}/change/", follow=True
            )
            assert page.status_code == 200, (address, row.pk)


def test_the_rows_are_of_every_state(desk: Client) -> None:
    outcomes = Counter(StripeEvent.objects.values_list("outcome", flat=True))
    assert outcomes == {"applied": 7, "unknown": 1, "ignored": 1, "unreadable": 1, None: 1}
    assert "This dispute cannot be read" in (StripeEvent.objects.get(outcome=None).error or "")
    assert Purchase.objects.filter(quarantined_at__isnull=False).count() == 1
    assert ServiceKey.objects.filter(revoked_at=None).count() == 3
    assert ServiceKey.objects.count() == 4
    assert states(EventSubscription) == {"active": 1, "paused": 1}
    assert states(EventMessage) == {"parked": 1, "delivered": 6, "pending": 7}
    parked = EventMessage.objects.get(status="parked")
    assert (parked.last_error, parked.attempts) == ("answered 422", 2)
    dead = OutboxMessage.objects.get(status="dead")
    assert dead.last_error == "answered 422"
    assert set(ActRequest.objects.values_list("kind", flat=True)) == {"operation", "price"}
    assert CreditLot.objects.filter(remaining__gt=0).count() == 2
    assert Transaction.objects.filter(type="expiry").count() == 1
    assert Transaction.objects.filter(metering__isnull=False).count() == 2
    assert AccountSettings.objects.get().low_balance == 100
    assert not Transaction.objects.filter(created_at__gt=datetime.now(UTC)).exists()
