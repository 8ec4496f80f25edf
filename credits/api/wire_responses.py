"""Responses with a JSON body. All views and errors of the API use them, DRF's Response none."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.http import HttpResponse

from credits.api.wire_fields import number


class WireResponse(HttpResponse):
    """A response whose body is `data` as compact JSON in UTF-8.

    It is complete when it is created. DRF's Response is created empty and rendered later, which
    costs more.
    """

    def __init__(
        self, data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            encode(data),
            status=status,
            headers={"Content-Type": "application/json", **(headers or {})},
        )


_encoder = json.JSONEncoder(
    ensure_ascii=False,
    separators=(",", ":"),
    default=lambda value: number(value) if isinstance(value, Decimal) else str(value),
)


def encode(data: Any) -> bytes:
    """Return `data` as compact JSON in UTF-8; credits are numbers, other values their text."""
    # An error may quote a lone surrogate, which UTF-8 cannot encode. Its escape is valid JSON.
    return _encoder.encode(data).encode(errors="backslashreplace")
