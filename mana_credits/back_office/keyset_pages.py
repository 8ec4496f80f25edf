"""Pages of rows, each read by an index from the position where the previous page ended.

A page costs the same at any depth, unlike OFFSET, if an index has the order's columns.
"""

import json
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet


class KeysetPage(NamedTuple):
    """Rows, and the position where the next page begins, or "" at the end."""

    rows: list[Any]
    next: str = ""


class KeysetColumn(NamedTuple):
    """A column of the order, and whether it descends. NULLs are first where it descends."""

    field: Any
    descends: bool

    @property
    def name(self) -> str:
        """Return the column's name in look-ups."""
        return str(self.field.attname)

    def same(self, value: Any) -> Q:
        """Return the condition for the rows with this value."""
        return Q(**({f"{self.name}__isnull": True} if value is None else {self.name: value}))

    def bound(self, value: Any) -> Q:
        """Return the condition, if there is one, that an index can start at for this value.

        PostgreSQL starts an index at `<=`, but not at `= OR <`.
        """
        if value is None or (self.field.null and not self.descends):
            return Q()
        return Q(**{f"{self.name}__{'lte' if self.descends else 'gte'}": value})

    def further(self, value: Any) -> Q:
        """Return the condition for the rows after those with this value."""
        # With NULLs last, no row comes after a NULL of the same column.
        if value is None:
            return Q(**{f"{self.name}__isnull": False}) if self.descends else Q(pk__in=())
        if self.descends:
            return Q(**{f"{self.name}__lt": value})
        beyond = Q(**{f"{self.name}__gt": value})
        return beyond | self.same(None) if self.field.null else beyond


def page(rows: QuerySet[Any], *, after: str = "", size: int) -> KeysetPage:
    """Return a page of ordered rows. `after` is the `next` of the previous page.

    The order must be unique and of columns of the rows' own table. Raises ValueError for an `after`
    that is not a position in this order.
    """
    columns = _columns(rows)
    if after:
        rows = rows.filter(_beyond(columns, _values(columns, after)))
    # One more row than shown tells whether there is a next page, without a count.
    found = list(rows[: size + 1])
    shown = found[:size]
    return KeysetPage(shown, _position(columns, shown[-1]) if len(found) > size else "")


def _columns(rows: QuerySet[Any]) -> list[KeysetColumn]:
    """Return the columns of the order up to the first unique one. Lists repeat some after it."""
    meta = rows.model._meta  # noqa: SLF001
    found: list[KeysetColumn] = []
    for name in map(str, rows.query.order_by):
        plain = name.lstrip("-")
        field = meta.pk if plain == "pk" else meta.get_field(plain)
        found.append(KeysetColumn(field, name.startswith("-")))
        # Further columns cannot change the order of unique rows, but would need an index of their
        # own.
        if field.unique and not field.null:
            break
    return found


def _beyond(columns: list[KeysetColumn], values: list[Any]) -> Q:
    """Return the condition for the rows after a position.

    The first column's bound is stated on its own, so that an index can start at it.
    """
    first, value = columns[0], values[0]
    if len(columns) == 1:
        return first.further(value)
    rest = first.further(value) | (first.same(value) & _beyond(columns[1:], values[1:]))
    return rest & first.bound(value)


def _position(columns: list[KeysetColumn], row: Any) -> str:
    values = [getattr(row, column.name) for column in columns]
    # Text, because JSON has neither decimals nor timestamps. `to_python` of the field reads it
    # back.
    return json.dumps([None if one is None else str(one) for one in values])


def _values(columns: list[KeysetColumn], after: str) -> list[Any]:
    try:
        values = json.loads(after)
    except RecursionError as error:  # too deeply nested
        raise ValueError(after) from error
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError(after)
    return [_value(column.field, one) for column, one in zip(columns, values, strict=True)]


def _value(field: Any, text: Any) -> Any:
    if text is None and field.null:
        return None
    # The position comes from the URL, and PostgreSQL cannot store NUL.
    if not isinstance(text, str) or "\0" in text:
        raise ValueError(text)
    try:
        return field.to_python(text)
    except ValidationError as error:
        raise ValueError(text) from error
