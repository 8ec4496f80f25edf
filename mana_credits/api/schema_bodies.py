"""The body components of the OpenAPI schema, derived from the wire's serializers and fields."""

import copy
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from credits.api.wire_serializers import Variant


class TextSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """The schema of strings: maximum length and pattern."""

    target_class = "credits.api.wire_fields.TextField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """Return the field's schema. Responses have no pattern: older rows may not match it."""
        schema: dict[str, Any] = {"type": "string"}
        if self.target.max_length is not None:
            schema["maxLength"] = self.target.max_length
        if direction == "request":
            schema["pattern"] = self.target.pattern
        return schema


class TimestampSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """The schema of timestamps. Requests may also send dates."""

    target_class = "credits.api.wire_fields.TimestampField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """Return the field's schema."""
        moment = {"type": "string", "format": "date-time"}
        if direction == "response":
            return moment
        return {"anyOf": [moment, {"type": "string", "format": "date"}]}


class WireSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """The schema of a wire serializer, with one component for each variant of its body."""

    target_class = "credits.api.wire_serializers.WireSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """Return the serializer's schema."""
        schema: dict[str, Any] = auto_schema._map_serializer(  # type: ignore[no-untyped-call]  # noqa: SLF001
            self.target, direction, bypass_extensions=True
        )
        schema["description"] = " ".join(schema.get("description", "").split("\n\n")[0].split())
        # Old clients may send them, but generated clients must not.
        for name in self.target.aliases:
            schema["properties"].pop(name, None)
        for name, field in schema["properties"].items():
            # Requests and responses have components of their own, so the mark says nothing.
            field.pop("readOnly", None)
            if direction == "request" and None in field.get("enum", ()):
                # Generators would otherwise name the enumeration after its place in a union.
                field["title"] = name
        variants: dict[str, Variant] = self.target.variants
        if direction == "response" or not variants:
            return schema
        references = [
            self._component(auto_schema, name, variant, schema)
            for name, variant in variants.items()
        ]
        return {"anyOf": references, "description": schema["description"]}

    def _component(
        self, auto_schema: AutoSchema, name: str, variant: Variant, schema: dict[str, Any]
    ) -> Any:
        full = auto_schema._get_serializer_name(  # noqa: SLF001
            self.target, "request", bypass_extensions=True
        )
        component = ResolvedComponent(  # type: ignore[no-untyped-call]
            name=f"{full.removesuffix('Request')}{name}Request",
            type=ResolvedComponent.SCHEMA,
            schema=_narrowed(schema, variant, self.target),
            object=(type(self.target), name),
        )
        auto_schema.registry.register_on_missing(component)
        return component.ref


def _narrowed(schema: dict[str, Any], variant: Variant, serializer: Any) -> dict[str, Any]:
    # A copy, because the variants change the properties in different ways.
    narrowed = copy.deepcopy(schema)
    narrowed["description"] = variant.description
    properties = narrowed["properties"]
    for name in variant.required:
        properties[name] = _present(properties[name])
    for name in variant.without:
        blank = getattr(serializer.fields[name], "allow_blank", False)
        properties[name] = {
            "description": "Not in this form of the request.",
            **({"type": ["string", "null"], "maxLength": 0} if blank else {"type": "null"}),
        }
    for name, value in variant.constants.items():
        properties[name]["enum"] = [value, None] if None in properties[name]["enum"] else [value]
        if "default" in properties[name]:
            properties[name]["default"] = value
    narrowed["required"] = sorted({*narrowed.get("required", []), *variant.required})
    return narrowed


EMPTY = ({"type": "null"}, {"type": "string", "maxLength": 0})


def _present(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that must be present and not null."""
    found = dict(schema)
    found.pop("default", None)
    for union in ("oneOf", "anyOf"):
        if union in found:
            kept = [one for one in found.pop(union) if one not in EMPTY]
            found = {**found, **kept[0]} if len(kept) == 1 else {**found, union: kept}
    if isinstance(found.get("type"), list):
        (found["type"],) = [one for one in found["type"] if one != "null"]
    return found
