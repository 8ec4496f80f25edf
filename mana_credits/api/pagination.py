"""Pagination: by `limit` and `offset`, or by a `cursor` that new rows do not shift."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.views import APIView

from credits.api.query_fields import QueryInteger
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import WireSerializer, query
from credits.ledger.history import History

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200
# PostgreSQL reads and discards all rows before an offset.
LARGEST_OFFSET = 1_000_000
LARGEST_CURSOR = 2**63 - 1


class PageSerializer(WireSerializer):
    """The query parameters that select a page."""

    limit = QueryInteger(
        min_value=1,
        default=DEFAULT_LIMIT,
        help_text=f"How many rows: up to {LARGEST_LIMIT}; more counts as {LARGEST_LIMIT}.",
    )
    offset = QueryInteger(
        min_value=0,
        max_value=LARGEST_OFFSET,
        default=0,
        help_text="How many rows to skip. Not together with `cursor`.",
    )
    cursor = QueryInteger(
        min_value=1,
        max_value=LARGEST_CURSOR,
        required=False,
        help_text="Where the page begins, from the header `Link` of the page before.",
    )


PAGE = PageSerializer()


class KeysetPagination(BasePagination):
    """Paginates rows in descending order of the view's `keyset`, a unique whole number.

    The response is a plain array. The header `Link` leads to the next page by its cursor. A page
    costs the same at any depth.
    """

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the rows of the requested page. Raises ValidationError."""
        page = PAGE.parse(query(request))
        limit = min(page["limit"], LARGEST_LIMIT)
        keyset: str = view.keyset  # type: ignore[union-attr]
        start, cursor = page["offset"], page.get("cursor")
        if start and cursor:
            raise ValidationError({"cursor": ["A cursor and an offset exclude each other."]})
        # One row more than the page shows whether there is a next page, without a count.
        if isinstance(queryset, History):
            rows: list[Any] = queryset.entries(limit=limit + 1, offset=start, cursor=cursor)
        else:
            if cursor:
                queryset = queryset.filter(**{f"{keyset}__lt": cursor})
            rows = list(queryset[start : start + limit + 1])
        self._next = (
            self._link(request, getattr(rows[limit - 1], keyset), limit)
            if (len(rows) > limit)
            else None
        )
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> WireResponse:  # type: ignore[override]
        """Return the array, with a `Link` header if there is a next page."""
        headers = {"Link": f'<{self._next}>; rel="next"'} if self._next else None
        return WireResponse(data, headers=headers)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Return the query parameters for the OpenAPI schema."""
        return [
            {
                "name": name,
                "in": "query",
                "description": field.help_text,
                "schema": {"type": "integer", **_bounds(field)},
            }
            for name, field in PAGE.fields.items()
        ]

    def _link(self, request: Request, cursor: int, limit: int) -> str:
        parameters = request.query_params.copy()
        # The cursor replaces it: the two exclude each other.
        parameters.pop("offset", None)
        parameters["cursor"] = str(cursor)
        parameters["limit"] = str(limit)
        return f"{request.build_absolute_uri(request.path)}?{parameters.urlencode()}"


def _bounds(field: Any) -> dict[str, int]:
    bounds = {"minimum": field.min_value, "maximum": field.max_value}
    bounds |= {} if field.default is empty else {"default": field.default}
    return {name: bound for name, bound in bounds.items() if bound is not None}
