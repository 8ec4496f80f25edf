"""Balances, the ledger, reservations and payments: the lowest layer."""
