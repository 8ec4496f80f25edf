"""A search's matches in one table, in the order of the user ids."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.db.models import F, QuerySet
from django.db.models.functions import Collate


class SearchResult(NamedTuple):
    """An account, and what matched, as it is stored."""

    user_id: str
    found: str


class Matches(NamedTuple):
    """Matching rows. `user` is the column of the user id, `found` returns what matched."""

    rows: QuerySet[Any]
    found: Callable[[Any], str]
    user: str = "user_id"

    def after(self, user_id: str, *, limit: int) -> Iterator[SearchResult]:
        """Yield the first `limit` accounts after a user id, by the code points of their ids."""
        # `merge` needs the same order in every table, and Python compares by code points.
        key = Collate(F(self.user), "C")
        rows = self.rows.annotate(user_key=key).filter(user_key__gt=user_id)
        for row in rows.order_by("user_key").distinct("user_key")[:limit]:
            yield SearchResult(row.user_key, self.found(row))
