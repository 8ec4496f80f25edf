"""The back office: pages by which operators look and act. No rule lives here."""

from credits.admin import (
    account,
    adjusting,
    dashboard,
    exporting,
    keeping,
    offering,
    people,
    refunding,
    rows,
    second_factor,
)

__all__ = [
    "account",
    "adjusting",
    "dashboard",
    "exporting",
    "keeping",
    "offering",
    "people",
    "refunding",
    "rows",
    "second_factor",
]
