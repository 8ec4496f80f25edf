"""Responses with a JSON body. All views and errors of the API use them, DRF's Response none."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from django.http import HttpResponse

from credits.api.wire_fields import number
from credits.api.wire_serializers import WireSerializer

if TYPE_CHECKING:  # its import needs the API's default classes, whose errors need this module
    from rest_framework.generics import GenericAPIView


class WireResponse(HttpResponse):
    """A response whose body is `data` as compact JSON in UTF-8.

    It is complete when it is created. DRF's Response is created empty and rendered later, which
    costs more. Like that, it keeps `data`: the access log has the code of an error.
    """

    def __init__(
        self, data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        super().__init__(
            encode(data),
            status=status,
            headers={"Content-Type": "application/json", **(headers or {})},
        )


def page(view: "GenericAPIView[Any]", rows: Any, serializer: WireSerializer) -> WireResponse:
    """Return the requested page of `rows`, in the view's pagination. Raises ValidationError."""
    shown: Any = view.paginate_queryset(rows)
    response: Any = view.get_paginated_response([serializer.represent(row) for row in shown])
    return cast("WireResponse", response)


_encoder = json.JSONEncoder(
    ensure_ascii=False,
    separators=(",", ":"),
    default=lambda value: number(value) if isinstance(value, Decimal) else str(value),
)


def encode(data: Any) -> bytes:
    """Return `data` as compact JSON in UTF-8; credits are numbers, other values their text."""
    # An error may quote a lone surrogate, which UTF-8 cannot encode. Its escape is valid JSON.
    return _encoder.encode(data).encode(errors="backslashreplace")
