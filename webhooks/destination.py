"""Destinations: whether an event was meant for the account and the mode of our key."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from prometheus_client import Counter

MISDIRECTED = Counter(
    "mana_credits_stripe_events_misdirected_total",
    "Events of Stripe of another mode or account than our key's, by what differs.",
    ("reason",),
)
LIVE_KEYS = ("sk_live_", "rk_live_")
TEST_KEYS = ("sk_test_", "rk_test_")

logger = structlog.get_logger(__name__)


def fault_of(body: Mapping[str, Any]) -> str | None:
    """Return why an event is not for us, None when it is."""
    live = key_is_live()
    if live is not None and body.get("livemode") not in (None, live):
        return f"livemode: the event is not of the {'live' if live else 'test'} mode of our key"
    account = body.get("account") or body.get("context")
    if account and account != settings.STRIPE_ACCOUNT_ID:
        return "account: the event is of another account"
    return None


def warn(event_id: str, fault: str) -> None:
    """Log and count an event that is not for us."""
    reason = fault.partition(":")[0]
    MISDIRECTED.labels(reason).inc()
    logger.warning("stripe_event_misdirected", id=event_id, reason=reason, message=fault)


def key_is_live() -> bool | None:
    """Return whether our key is of live mode; None when the key does not say."""
    key: str = settings.STRIPE_SECRET_KEY
    if key.startswith(LIVE_KEYS):
        return True
    return False if key.startswith(TEST_KEYS) else None
