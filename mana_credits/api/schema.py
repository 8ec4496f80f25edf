"""The API's OpenAPI schema, its page, and how they describe what is the same everywhere."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from mana_credits.api.body import CompactJSONRenderer

ERROR_STATUSES = {
    "400": "The request is not valid; `details` names the fields.",
    "401": "Not authenticated.",
    "402": "The credits do not suffice; `details` has `required` and `available`.",
    "403": "Not allowed.",
    "404": "Not found.",
    "409": "In conflict with an earlier request.",
    "413": "The body is too large.",
    "429": "Too many attempts; try again after `Retry-After` seconds.",
    "503": "Unavailable for a moment; try again after `Retry-After` seconds.",
}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A user's token from mana-auth."""

    target_class = "mana_credits.api.tokens.TokenAuthentication"
    name = "userToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Describe the header."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class ServiceKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A service's key."""

    target_class = "internal_api.authentication.ServiceKeyAuthentication"
    name = "serviceKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Describe the header."""
        return {"type": "apiKey", "in": "header", "name": "X-Service-Key"}


class ErrorsInJSON(APIView):
    """A view whose errors look like all others, whatever it renders itself."""

    def handle_exception(self, exc: Exception) -> Response:
        """Return the error as JSON."""
        response = super().handle_exception(exc)
        self.request.accepted_renderer = CompactJSONRenderer()
        self.request.accepted_media_type = CompactJSONRenderer.media_type
        return response


class SchemaView(ErrorsInJSON, SpectacularAPIView):
    """The schema, as YAML or JSON."""

    content_negotiation_class = DefaultContentNegotiation
    renderer_classes = [OpenApiYamlRenderer, OpenApiJsonRenderer]


class DocsView(ErrorsInJSON, SpectacularSwaggerView):
    """The schema as a page to read and to try out."""

    renderer_classes = [TemplateHTMLRenderer]


ERROR_SCHEMA = {
    "type": "object",
    "required": ["statusCode", "message", "code"],
    "properties": {
        "statusCode": {"type": "integer"},
        "message": {"type": "string"},
        "code": {"type": "string"},
        "error": {"type": "string"},
        "details": {"type": "object", "additionalProperties": {}},
    },
}


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the error envelope to every operation of the schema."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Error"] = ERROR_SCHEMA
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, text in ERROR_STATUSES.items():
                operation["responses"].setdefault(status, {"description": text, "content": content})
    return result
