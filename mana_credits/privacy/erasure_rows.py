"""The interface of an app to erasure and export: its personal rows, and how to erase them."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import QuerySet


class ErasedPerson(NamedTuple):
    """The person to erase: user id, pseudonym and e-mail addresses."""

    id: str
    pseudonym: str
    addresses: frozenset[str] = frozenset()

    def moves(self) -> dict[str, str]:
        """Return the arguments of the database functions that move rows to the pseudonym."""
        return {"user_id": self.id, "pseudonym": self.pseudonym}


Sections = dict[str, QuerySet[Any, Any]]


def _no_addresses(user_id: str) -> set[str]:
    return set()


def _nothing(person: ErasedPerson) -> None:
    """Default hook: do nothing."""


def _no_rows(person: ErasedPerson) -> list[QuerySet[Any]]:
    return []


class PersonalRows(NamedTuple):
    """The personal rows of an app and how to erase them.

    `strip` moves a person's rows to the pseudonym, deletes their texts and returns how many rows of
    each kind it changed. `sections` returns the rows about a user for the export. `locked` returns
    the rows that are locked before the balance, in this order. `addresses` returns the user's known
    e-mail addresses. `settle` ends open business in separate transactions, before the erasure.
    """

    strip: Callable[[ErasedPerson], Counter[str]]
    sections: Callable[[str], Sections]
    locked: Callable[[ErasedPerson], list[QuerySet[Any]]] = _no_rows
    addresses: Callable[[str], set[str]] = _no_addresses
    settle: Callable[[ErasedPerson], None] = _nothing
