"""A serializer field of JSON objects that apps attach to their rows."""

import json
import re
from decimal import Decimal
from itertools import chain
from math import isfinite
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.wire_fields import is_usual

METADATA_BYTES = 16 * 1024
METADATA_LEVELS = 100
# An object within these limits is far below METADATA_BYTES, so its size need not be computed.
PLAIN_FIELDS = 16
PLAIN_LENGTH = 100
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObject(serializers.Field[Any, Any, Any, Any]):
    """A JSON object of at most 16 KiB (numbers without exponents) and 100 levels.

    It is stored unchanged.
    """

    default_error_messages = {
        "type": "A JSON object is expected.",
        "size": "At most 16 KiB of JSON are allowed.",
        "levels": "At most 100 levels of nesting are allowed.",
        "text": "NUL characters, lone surrogates and infinite numbers are not allowed.",
    }

    def to_internal_value(self, data: object) -> Any:
        """Accept objects that PostgreSQL can store as jsonb."""
        if not isinstance(data, dict):
            self.fail("type")
        if _is_plain(data):
            return data
        if not _nests_within(METADATA_LEVELS, data):
            self.fail("levels")
        try:
            text = json.dumps(data, default=_in_full, ensure_ascii=False, separators=(",", ":"))
            size = len(text.encode())
        except (ValueError, OverflowError):
            self.fail("text")
        if _NUL.search(text):
            self.fail("text")
        if size > METADATA_BYTES:
            self.fail("size")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return the object unchanged."""
        return value


def _is_plain(data: dict[str, Any]) -> bool:
    """Return whether an object is flat with few, short and common values, and therefore valid."""
    return len(data) <= PLAIN_FIELDS and all(map(_is_plain_value, chain(data, data.values())))


def _is_plain_value(value: object) -> bool:
    if type(value) is str:
        return 0 < len(value) <= PLAIN_LENGTH and is_usual(value)
    return value is None or type(value) is bool or (type(value) is int and abs(value) < 2**53)


def _in_full(number: Decimal) -> str:
    """Return a number as jsonb prints it, without exponent; raise ValueError if it is infinite.

    `1e308` is sent in 5 bytes and returned in 309. Without this limit, a page of such metadata
    could exhaust the memory.
    """
    value = float(number)
    if not isfinite(value):
        raise ValueError("The number is infinite")
    return format(Decimal(repr(value)), "f")


def _nests_within(levels: int, value: object) -> bool:
    """Return whether `value` has at most `levels` levels; the JSON encoder fails at some depth."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return levels > 0 and all(_nests_within(levels - 1, one) for one in value)
