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
ACCOUNT_FIELDS = ("account", "context")  # of snapshot events and of thin events

logger = structlog.get_logger(__name__)


def fault_of(body: Mapping[str, Any]) -> str | None:
    """Return the reason why an event is not for us, or None if it is."""
    live = key_is_live()
    # Compared with `is`, because 1 == True: only a JSON boolean names a mode.
    named = body.get("livemode")
    if live is not None and named is not None and named is not live:
        return f"livemode: the event is not in our key's {'live' if live else 'test'} mode"
    if any(body.get(name) not in (None, settings.STRIPE_ACCOUNT_ID) for name in ACCOUNT_FIELDS):
        return "account: the event belongs to another account"
    return None


def warn(event_id: str, fault: str) -> None:
    """Log and count an event of another mode or account."""
    reason = fault.partition(":")[0]
    MISDIRECTED.labels(reason).inc()
    logger.warning("stripe_event_misdirected", id=event_id, reason=reason, message=fault)


def key_is_live() -> bool | None:
    """Return whether our key is a live-mode key, or None if its prefix is unknown."""
    key: str = settings.STRIPE_SECRET_KEY
    if key.startswith(LIVE_KEYS):
        return True
    return False if key.startswith(TEST_KEYS) else None
