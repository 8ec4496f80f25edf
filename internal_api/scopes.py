"""Scopes of service keys: what a service may do."""

BALANCE_READ = "balance:read"
USE = "use"
RESERVE = "reserve"
REFUND = "refund"
GRANT = "grant"
INIT = "init"
ERASE = "erase"
GIFTS = "gifts"
SYNC = "sync"
ALL = (BALANCE_READ, USE, RESERVE, REFUND, GRANT, INIT, ERASE, GIFTS, SYNC)
