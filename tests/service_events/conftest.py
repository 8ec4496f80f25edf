"""A receiver, and subscriptions to it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from credits import worker
from mana_credits.service_events import deliveries, event_types, subscriptions
from mana_credits.service_events.models import EventSubscription
from tests.event_receiver import EventReceiver

Subscribe = Callable[..., tuple[EventSubscription, str]]


@pytest.fixture
def subscribe(receiver: EventReceiver) -> Subscribe:
    """Return how to subscribe the receiver to events (default: all)."""

    def create(*events: str, service: str = "chat") -> tuple[EventSubscription, str]:
        return subscriptions.create(
            service, receiver.url, events or event_types.ALL, by="ada", now=datetime.now(UTC)
        )

    return create


def deliver(**later: float) -> list[str]:
    """Deliver what is due at a time from now, such as `minutes=5`."""
    return list(deliveries.deliver_due(now=worker.now() + timedelta(**later)))
