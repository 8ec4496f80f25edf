"""JSON request and response bodies, without content negotiation."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, Any, Never

from django.conf import settings
from django.http import UnreadablePostError
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

GZIP = b"\x1f\x8b"
LONGEST_NAME = 64  # maximum length of a key that an error quotes


class BodyTooLarge(APIException):
    """The body has more than MAX_BODY_BYTES bytes."""

    status_code = 413
    default_detail = "The body is too large"
    default_code = "body_too_large"


class InvalidJSON(ParseError):
    """The body is not UTF-8 JSON, is nested too deeply or contains a number out of range."""

    default_code = "invalid_json"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The body is not valid JSON: {reason}")


class JSONBodyParser(BaseParser):
    """Parses every body as JSON, whatever its Content-Type. Fractions become exact Decimals."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body. Raises BodyTooLarge, InvalidJSON or ValidationError."""
        if _announced(parser_context) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge  # the web server does not read this body at all
        try:
            # No more than the Content-Length, which the web server sets for a chunked body, too.
            body = stream.read()
        except UnreadablePostError as error:
            raise InvalidJSON("it ended early") from error
        return _parse(body) if body.strip() else {}


def _announced(parser_context: Mapping[str, Any] | None) -> int:
    """Return the Content-Length of the request."""
    meta = parser_context["request"].META if parser_context else {}
    return int(meta.get("CONTENT_LENGTH") or 0)


def _parse(body: bytes) -> Any:
    try:
        # The earlier service's platform ignored a byte order mark, as RFC 8259 allows.
        return _decoder.decode(body.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        if body.startswith(GZIP):
            raise InvalidJSON("compressed bodies are not supported") from error
        raise InvalidJSON(f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise InvalidJSON("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidJSON(f"syntax error at {where}: {error.msg}") from error
    # Python limits the digits of an integer, and Decimal the exponent.
    except (ValueError, InvalidOperation) as error:
        raise InvalidJSON("a number is out of range") from error


def _reject_constant(name: str) -> Never:
    raise InvalidJSON(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. Reject repeated keys: readers disagree about which value counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = next(key for key, count in counts.items() if count > 1)
        name = repeated if repeated.isprintable() and len(repeated) <= LONGEST_NAME else "body"
        raise ValidationError({name: ["This key is repeated in its object."]})
    return found


_decoder = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_reject_constant, object_pairs_hook=_object
)


class OnlyJSON(BaseContentNegotiation):
    """Selects the only parser and the only renderer, whatever the client prefers."""

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
