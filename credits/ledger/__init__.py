"""The ledger: movements, reservations, idempotency keys, and the proof of the books."""
