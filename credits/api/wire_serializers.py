"""The base classes of all serializers, and functions that read the caller and the headers.

A serializer is built once per process, as a module constant, and shared by all threads: `parse` and
`represent` keep no state. Building DRF's fields for each request would cost more than all other
work of a view.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar, cast

from django.utils.translation.trans_real import parse_accept_lang_header
from rest_framework import serializers
from rest_framework.fields import SkipField, empty
from rest_framework.request import Request

from credits.api.openapi import Variant
from credits.api.wire_fields import Label, UserId
from credits.ledger.posting import Origin
from credits.principals import Service, User


class WireSerializer(serializers.Serializer[Any]):
    """A serializer whose one instance serves every request.

    For the API's schema, `variants` maps names to the forms of a body that has several. `aliases`
    are fields that are accepted from old clients but not described.
    """

    variants: ClassVar[Mapping[str, Variant]] = {}
    aliases: ClassVar[tuple[str, ...]] = ()

    def parse(self, data: object) -> dict[str, Any]:
        """Validate a JSON object and return its values by source. Raises ValidationError."""
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
        """Represent the subject of a nested serializer."""
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


KEY_LENGTH = 255


class KeyedSerializer(WireSerializer):
    """A body with an optional idempotency key. An empty string means no key."""

    idempotencyKey = Label(
        source="key",
        max_length=KEY_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The caller's name for the request, unique per user. Empty means no key.",
    )


class UserSerializer(WireSerializer):
    """A body or a path with a user id."""

    userId = UserId(source="user_id", help_text="The user.")


IDEMPOTENCY_HEADER = KeyedSerializer()
USER = UserSerializer()


def origin(request: Request, body: Mapping[str, Any] | None = None) -> Origin:
    """Return the origin of the request: the actor, the idempotency key and the request id.

    The key is that of the header `Idempotency-Key` or of the body. Raises DRF's ValidationError if
    both are given and differ.
    """
    caller = cast("User | Service", request.user)
    return Origin(
        actor=caller.actor,
        key=_idempotency_key(request, (body or {}).get("key") or None),
        request_id=request.META.get("HTTP_X_REQUEST_ID"),
    )


def _idempotency_key(request: Request, in_body: str | None) -> str | None:
    header = header_text(request, "HTTP_IDEMPOTENCY_KEY", field="idempotencyKey")
    if not header:
        return in_body
    in_header = cast("str", IDEMPOTENCY_HEADER.parse({"idempotencyKey": header})["key"])
    if in_body not in {None, in_header}:
        raise serializers.ValidationError(
            {"idempotencyKey": ["The header Idempotency-Key has a different value."]}
        )
    return in_header


def header_text(request: Request, name: str, *, field: str) -> str:
    """Return a header of the WSGI environment as text, or an empty string if it is missing.

    WSGI decodes headers as Latin-1, but clients send UTF-8. Raises DRF's ValidationError for
    `field` if the header is not UTF-8.
    """
    value: str = request.META.get(name, "")
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        raise serializers.ValidationError({field: ["The header is not UTF-8."]}) from None


def query(request: Request) -> dict[str, str]:
    """Return the query parameters. Raises DRF's ValidationError if one is repeated."""
    values = request.query_params
    repeated = {
        name: ["This parameter is repeated."] for name, all_ in values.lists() if len(all_) > 1
    }
    if repeated:
        raise serializers.ValidationError(repeated)
    return values.dict()


def language(request: Request) -> str:
    """Return the client's language from Accept-Language: `de`, `en`, or empty if it names none.

    Any language other than German is answered in English.
    """
    for tag, _ in parse_accept_lang_header(request.META.get("HTTP_ACCEPT_LANGUAGE", "")):
        if tag != "*":
            return "de" if tag.partition("-")[0] == "de" else "en"
    return ""


def named_user(user_id: str) -> str:
    """Validate a user id from a path and return it. Raises DRF's ValidationError."""
    return cast("str", USER.parse({"userId": user_id})["user_id"])


def user(request: Request) -> User:
    """Return the user whose token the request carries."""
    return cast("User", request.user)
