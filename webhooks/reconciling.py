"""Reconciliation with Stripe: what it knows, applied where no event told us."""
