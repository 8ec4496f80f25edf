"""The operations of the OpenAPI schema, derived from the views."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated

from credits.api.openapi import Description
from credits.api.wire_fields import APP_ID_LENGTH, ShortTextField, TextField, UserIdField, UuidField
from credits.api.wire_serializers import KEY_LENGTH, KeyedSerializer
from internal_api.authentication import HasScope
from mana_credits.api import schema_refusals
from mana_credits.api.examples import EXAMPLES
from mana_credits.api.schema_refusals import OperationFacts, headers

Field = serializers.Field[Any, Any, Any, Any]
# The descriptions of path variables by name. A view may override them.
PATH_FIELDS: dict[str, Field] = {
    "user_id": UserIdField(help_text="The user's id."),
    "purchase_id": UuidField(
        help_text="The purchase's id, as `POST /credits/purchase` returned it."
    ),
    "code": TextField(
        max_length=100,
        help_text="The gift's code, in upper or lower case, with or without separators.",
    ),
}
REQUEST_ID = OpenApiParameter(
    "X-Request-Id",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The caller's name for the request, for the logs of both sides: up to 128 letters,"
    " digits and `._:-`. Any other is replaced.",
)
IDEMPOTENCY_KEY = ShortTextField(
    max_length=KEY_LENGTH,
    allow_blank=True,
    help_text="The caller's name for the request, unique per user: with the same key the request"
    " takes effect once. The body's `idempotencyKey` means the same. A request with two different"
    " keys is refused.",
)
APP_ID = ShortTextField(
    max_length=APP_ID_LENGTH,
    allow_blank=True,
    help_text="The calling service's name for itself. It is recorded as the actor,"
    " `service:NAME`; it is not the `appId` of a transaction.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The `ETag` of the answer that the caller has.",
)


class OperationSchema(AutoSchema):
    """Describes an operation by its view: parameters, body, responses and errors."""

    def get_operation(self, *args: Any, **options: Any) -> dict[str, Any] | None:
        """Return the operation. It always states its security, also if it needs none."""
        operation: dict[str, Any] | None = super().get_operation(*args, **options)
        if operation is None:
            return None
        operation.setdefault("security", [])
        found = schema_refusals.refusals(self._facts(operation), self._described)
        operation["responses"] |= schema_refusals.responses(found)
        self._insert_example(operation)
        return operation

    @property
    def _action(self) -> Any:
        name = getattr(self.view, "action", None) or self.method.lower()
        return getattr(self.view, name)

    @property
    def _described(self) -> Description:
        described: Description = getattr(self._action, "described", Description())
        return described

    def get_summary(self) -> str:
        """Return the first sentence of the view's docstring."""
        first: str = self.get_description().split("\n")[0]
        return first.partition(". ")[0].rstrip(".")

    def map_parsers(self) -> list[str]:
        """Return only `application/json`. Bodies of other types are read as JSON too."""
        return ["application/json"]

    def get_paginated_name(self, serializer_name: str) -> str:
        """Return the component name of a page, which is a plain array."""
        return f"{serializer_name.removesuffix('Serializer')}List"

    def get_override_parameters(self) -> list[Any]:
        """Return the view's own parameters and the headers that the operation reads."""
        return [
            *super().get_override_parameters(),
            *([IF_NONE_MATCH] if self._described.cacheable else []),
            REQUEST_ID,
            *([self._parameter("Idempotency-Key", IDEMPOTENCY_KEY)] if self._keyed else []),
            *([self._parameter("X-App-Id", APP_ID)] if self._scheme == "serviceKey" else []),
        ]

    def _parameter(self, name: str, field: Field, location: str = "header") -> OpenApiParameter:
        schema = self._map_serializer_field(field, "request")  # type: ignore[no-untyped-call]
        self._insert_field_validators(field, schema)
        schema.pop("description", None)
        return OpenApiParameter(
            name,
            schema,
            location,  # type: ignore[arg-type]
            required=location == "path",
            description=str(field.help_text),
        )

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        fields = PATH_FIELDS | dict(self._described.path)
        found = [self._parameter(name, fields[name], "path") for name in variables]
        return [
            {
                "in": "path",
                "name": one.name,
                "schema": one.type,
                "description": one.description,
                "required": True,
            }
            for one in found
        ]

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        # drf-spectacular describes a text that may be blank by `oneOf`. One pattern is simpler for
        # generators of clients.
        if isinstance(field, TextField) and field.allow_blank and "oneOf" in schema:
            inner = schema.pop("oneOf")[0]
            schema |= inner | {"pattern": f"^$|{inner['pattern']}"}

    @property
    def _scheme(self) -> str | None:
        return next((name for one in self.get_auth() for name in one), None)

    @property
    def _keyed(self) -> bool:
        request = self.get_request_serializer()
        in_body = isinstance(request, type) and issubclass(request, KeyedSerializer)
        return in_body or self._described.keyed

    def _facts(self, operation: dict[str, Any]) -> OperationFacts:
        read = {"path", "query"}
        parameters = operation["parameters"]
        places = {one["in"] for one in parameters}
        validated = [one for one in parameters if one["name"] in {"Idempotency-Key", "X-App-Id"}]
        return OperationFacts(
            scheme=self._scheme,
            restricted=any(
                not isinstance(one, (IsAuthenticated, HasScope))
                for one in self.view.get_permissions()
            ),
            has_input=bool(places & read or validated or "requestBody" in operation),
            has_body="requestBody" in operation,
            keyed=self._keyed,
        )

    def _get_request_body(self, direction: Any = "request") -> Any:
        body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        if body:
            (media,) = body["content"].values()
            component = media["schema"].get("$ref", "").rpartition("/")[2]
            schema = self.registry[component, "schemas"].schema if component else media["schema"]
            if "anyOf" in schema:
                body["required"] = True
            if schema.get("description"):
                body["description"] = schema["description"]
        return body

    def _get_response_for_code(self, *args: Any, **options: Any) -> Any:
        response = super()._get_response_for_code(*args, **options)  # type: ignore[no-untyped-call]
        serializer = args[0]
        if isinstance(serializer, OpenApiResponse):  # it has its own description
            return response
        kind = getattr(serializer, "child", serializer)
        kind = kind if isinstance(kind, type) else type(kind)
        response["description"] = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        return response

    def _get_response_headers_for_code(self, *args: Any, **options: Any) -> dict[str, Any]:
        paginated = self._get_paginator() and self._is_list_view()  # type: ignore[no-untyped-call]
        return headers(
            "X-Request-Id",
            *(["Link"] if paginated or self._described.linked else []),
            *(["ETag", "Cache-Control"] if self._described.cacheable else []),
        )

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if self._described.cacheable:
            bodies["304"] = {
                "description": "Nothing has changed.",
                "headers": headers("X-Request-Id", "ETag", "Cache-Control"),
            }
        return bodies

    def _insert_example(self, operation: dict[str, Any]) -> None:
        example = EXAMPLES.get(operation["operationId"])
        if example is None:
            return
        if "requestBody" in operation:
            (media,) = operation["requestBody"]["content"].values()
            media["example"] = example["request"]
        (media,) = operation["responses"][str(example["status"])]["content"].values()
        media["example"] = example["response"]
