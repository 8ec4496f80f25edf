"""Payments: packages, checkout, purchases, refunds and disputes, reconciliation."""
