"""What all serializers of the wire share: strict input, cheap output; who asks, and in what words.

A serializer is built once per process, as a module's constant, and used by all threads: `parse`
and `represent` keep no state. Building DRF's fields anew for each request costs more than
everything else that a view does.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any, cast

from django.utils.translation.trans_real import parse_accept_lang_header
from rest_framework import serializers
from rest_framework.fields import SkipField, empty
from rest_framework.request import Request

from credits.api.wire_fields import Label, UserId
from credits.ledger.posting import Origin
from credits.principals import Service, User


class WireSerializer(serializers.Serializer[Any]):
    """A serializer whose one instance serves every request."""

    def parse(self, data: object) -> dict[str, Any]:
        """Return the validated fields of a JSON object; raise DRF's ValidationError."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"body": ["A JSON object is expected."]})
        values, errors = {}, {}
        for name, field, check in self._inputs:
            try:
                value = check(field.run_validation(data.get(name, empty)))
            except SkipField:
                continue
            except serializers.ValidationError as error:
                errors[name] = error.detail
            else:
                values[str(field.source)] = value
        if errors:
            raise serializers.ValidationError(errors)
        return cast("dict[str, Any]", self.validate(values))

    def represent(self, subject: object) -> dict[str, Any]:
        """Return `subject` as plain JSON values."""
        return {
            name: None if (value := get(subject)) is None else convert(value)
            for name, get, convert in self._outputs
        }

    def to_representation(self, instance: object) -> dict[str, Any]:
        """Represent a nested serializer's subject the same cheap way."""
        return self.represent(instance)

    @cached_property
    def _inputs(self) -> list[tuple[str, Any, Callable[[Any], Any]]]:
        return [
            (name, field, getattr(self, f"validate_{name}", _itself))
            for name, field in self.fields.items()
            if not field.read_only
        ]

    @cached_property
    def _outputs(self) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]:
        return [
            (
                name,
                _itself if field.source == "*" else attrgetter(str(field.source)),
                field.to_representation,
            )
            for name, field in self.fields.items()
        ]


def _itself(subject: Any) -> Any:
    return subject


class KeyedSerializer(WireSerializer):
    """A body that may carry the caller's idempotency key; an empty string counts as none."""

    idempotencyKey = Label(
        source="key", max_length=255, required=False, allow_null=True, allow_blank=True
    )


class UserSerializer(WireSerializer):
    """A body, or a path, that names a user."""

    userId = UserId(source="user_id")


IDEMPOTENCY_HEADER = KeyedSerializer()
USER = UserSerializer()


def origin(request: Request, body: Mapping[str, Any] | None = None) -> Origin:
    """Return who asked and under which key: the header `Idempotency-Key`, else the body's."""
    header = request.META.get("HTTP_IDEMPOTENCY_KEY")
    key = IDEMPOTENCY_HEADER.parse({"idempotencyKey": header})["key"] if header else None
    caller = cast("User | Service", request.user)
    return Origin(
        actor=caller.actor,
        key=key or (body or {}).get("key") or None,
        request_id=request.META.get("HTTP_X_REQUEST_ID"),
    )


def language(request: Request) -> str:
    """Return the language that the client asks for: `de`, else `en`; empty when it names none."""
    for tag, _ in parse_accept_lang_header(request.META.get("HTTP_ACCEPT_LANGUAGE", "")):
        if tag != "*":
            return "de" if tag.partition("-")[0] == "de" else "en"
    return ""


def named_user(user_id: str) -> str:
    """Return the user's id that a path holds; raise DRF's ValidationError."""
    return cast("str", USER.parse({"userId": user_id})["user_id"])


def user(request: Request) -> User:
    """Return the user whose token the request carries."""
    return cast("User", request.user)
