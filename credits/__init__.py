"""Balances, the ledger and reservations: the bottom of the house."""
