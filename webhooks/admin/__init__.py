"""The back office of Stripe's events."""

from webhooks.admin import events

__all__ = ["events"]
