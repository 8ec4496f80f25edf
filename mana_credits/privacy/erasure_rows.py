"""The interface of an app to erasure and export: its personal rows, and how to erase them."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from django.db.models import Model, QuerySet


class ErasedPerson(NamedTuple):
    """The person to erase: user id, pseudonym and e-mail addresses."""

    id: str
    pseudonym: str
    addresses: frozenset[str] = frozenset()

    def moves(self) -> dict[str, str]:
        """Return the arguments of the database functions that move rows to the pseudonym."""
        return {"user_id": self.id, "pseudonym": self.pseudonym}


Sections = dict[str, QuerySet[Any, Any]]
Row = TypeVar("Row", bound=Model)


def not_held(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Lock and return the rows, without those that others have locked.

    A row that was added after the locks of the erasure may be held by a movement that waits for the
    balance, so to wait for it could deadlock. It stays as if it were added after the erasure.
    """
    keys = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
    return rows.model._default_manager.filter(pk__in=keys)  # noqa: SLF001


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
