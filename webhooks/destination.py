"""Destinations: whether an event belongs to the account and the mode of our Stripe key."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from prometheus_client import Counter

MISDIRECTED = Counter(
    "mana_credits_stripe_events_misdirected_total",
    "Stripe events of another mode or account than that of our key, by what differs.",
    ("reason",),
)
LIVE_KEYS = ("sk_live_", "rk_live_")
TEST_KEYS = ("sk_test_", "rk_test_")

logger = structlog.get_logger(__name__)


def fault_of(body: Mapping[str, Any]) -> str | None:
    """Return the reason why an event is not for us, or None if it is."""
    live = key_is_live()
