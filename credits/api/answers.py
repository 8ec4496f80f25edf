"""Answers with a JSON body, rendered once. DRF's Response is created empty and rendered later."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.http import HttpResponse

from credits.api.wire_fields import number


class Answer(HttpResponse):
    """A response whose body is `data` as compact JSON in UTF-8."""

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
