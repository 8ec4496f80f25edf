"""Stripe's webhooks: signed events are verified, stored and applied once."""
