"""The connection to PostgreSQL: its time limits, errors, transactions, role and standby."""
