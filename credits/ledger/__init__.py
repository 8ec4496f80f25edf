"""The ledger: movements, reservations, idempotency keys, and the checks of the books."""
