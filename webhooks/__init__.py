"""Stripe's webhooks: signed events are stored and applied; reconciliation finds missed ones."""
