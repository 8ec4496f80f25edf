"""Bodies: JSON whatever the Content-Type says, in and out, without negotiation."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, Any, Never

from django.conf import settings
from django.http import UnreadablePostError
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from credits.api.wire_fields import number


class BodyTooLarge(APIException):
    """The body has more than MAX_BODY_BYTES bytes."""

    status_code = 413
    default_detail = "The body is too large"
    default_code = "body_too_large"


class InvalidJSON(ParseError):
    """The body is not JSON in UTF-8, or nests too deep, or holds a number without measure."""

    default_detail = "The body is not valid JSON"
    default_code = "invalid_json"


class JSONBodyParser(BaseParser):
    """Reads any body as JSON; numbers with a fraction become exact Decimals."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body; raise BodyTooLarge or InvalidJSON."""
        try:
            body = stream.read(settings.MAX_BODY_BYTES + 1)
        except UnreadablePostError as error:
            raise InvalidJSON from error
        if len(body) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        if not body.strip():
            return {}
        try:
            return json.loads(body.decode(), parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, InvalidOperation, RecursionError) as error:
            raise InvalidJSON from error


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


class CompactJSONRenderer(BaseRenderer):
    """Writes compact JSON in UTF-8."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the JSON of `data`; nothing for an answer without a body."""
        return b"" if data is None else _encode(data)


_encoder = json.JSONEncoder(
    ensure_ascii=False,
    separators=(",", ":"),
    default=lambda value: number(value) if isinstance(value, Decimal) else str(value),
)


def _encode(data: Any) -> bytes:
    return _encoder.encode(data).encode()


class OnlyJSON(BaseContentNegotiation):
    """There is one parser and one renderer, whatever the client prefers."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        """Return the only parser."""
        return next(iter(parsers))

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the only renderer."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
