"""The OpenAPI schema, its page, and the components that all operations share."""

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import Any, NamedTuple, cast

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from credits.api.error_bodies import camel_case
from credits.api.http_cache import unless_known
from mana_credits.api import schema_bodies, schema_probes
from mana_credits.api.schema_refusals import HEADERS

# Imported for its extensions, which drf-spectacular finds by their base classes.
__all__ = ["DocsView", "SchemaView", "complete", "schema_bodies"]


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security scheme of user tokens."""

    target_class = "mana_credits.api.tokens.TokenAuthentication"
    name = "userToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the description of the header."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The user's token from mana-auth: the request acts for that user only.",
        }


class ServiceKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security scheme of service keys."""

    target_class = "internal_api.authentication.ServiceKeyAuthentication"
    name = "serviceKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the description of the header."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "X-Service-Key",
            "description": "A service's own key with its scopes, or a key that has every scope.",
        }


class Document(NamedTuple):
    """The schema in one format, with its ETag."""

    text: bytes
    etag: str


_generating = Lock()


def document(renderer: type[BaseRenderer]) -> Document:
    """Return the schema in one format. Generating it takes a second, once per process."""
    # Concurrent first requests wait for one generation instead of each making their own.
    with _generating:
        return _generated(renderer)  # type: ignore[arg-type]


@cache
def _generated(renderer: type[BaseRenderer]) -> Document:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    text = cast("bytes", renderer().render(schema))
    return Document(text, f'"{hashlib.sha256(text).hexdigest()[:32]}"')


class YAMLOrJSON(DefaultContentNegotiation):
    """Selects the first format, YAML, for a client that accepts none of them."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type."""
        try:
            renderer, _ = super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            renderer = next(iter(renderers))
        return renderer, renderer.media_type


class SchemaView(APIView):
    """The schema as YAML or JSON. It changes only with a release."""

    schema = None
    authentication_classes = []
    permission_classes = []
    content_negotiation_class = YAMLOrJSON
    # The second of each format has the common media type: `application/yaml`, `application/json`.
    renderer_classes = [
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer,
        OpenApiJsonRenderer2,
    ]

    def get(self, request: Request) -> HttpResponseBase:
        """Return the schema, or 304 if the caller's copy is current."""
        renderer, kind = request.accepted_renderer, request.accepted_media_type
        in_json = isinstance(renderer, OpenApiJsonRenderer)
        text, etag = document(OpenApiJsonRenderer if in_json else OpenApiYamlRenderer)
        response = HttpResponse(
            text,
            content_type=f"{kind}; charset={renderer.charset}" if renderer.charset else kind,
            headers={
                "ETag": etag,
                "Cache-Control": "no-cache",  # a copy may be cached but must be revalidated
                "Content-Disposition": f'inline; filename="mana-credits.{renderer.format}"',
            },
        )
        return unless_known(request, response)


class DocsView(SpectacularSwaggerView):
    """The schema as an interactive page."""

    renderer_classes = [TemplateHTMLRenderer]


ERROR_SCHEMA = {
    "type": "object",
    "description": "Why a request was refused.",
    "required": ["statusCode", "message", "code"],
    "properties": {
        "statusCode": {"type": "integer", "description": "The HTTP status."},
        "message": {"type": "string", "description": "A sentence for people. It may change."},
        "code": {"type": "string", "description": "What happened, for programs. It is stable."},
        "error": {
            "type": "string",
            "description": "The earlier service's text, if it had this error.",
        },
        "details": {
            "type": "object",
            "description": "By field what is wrong with it (400), or facts such as `required`.",
            "additionalProperties": {},
        },
    },
}
VARIABLE = re.compile(r"\{(\w+)\}")


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the shared components, and give path variables their names on the wire."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    components["headers"] = HEADERS
    result["paths"] = {
        VARIABLE.sub(lambda match: f"{{{camel_case(match[1])}}}", path): operations
        for path, operations in result["paths"].items()
    }
    components["schemas"] |= schema_probes.SCHEMAS
    _strip_marks(result)
    for operations in result["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["name"] = camel_case(parameter["name"])
    result["paths"] |= schema_probes.paths()
    return result


def _strip_marks(schema: Any) -> None:
    """Remove drf-spectacular's marks on enumerations, which only its enumeration hook needs."""
    if isinstance(schema, dict):
        schema.pop("x-spec-enum-id", None)
        for value in schema.values():
            _strip_marks(value)
    elif isinstance(schema, list):
        for value in schema:
            _strip_marks(value)
