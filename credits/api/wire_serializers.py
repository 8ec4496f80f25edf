"""The base classes of all serializers, and functions that read the caller and the headers.

A serializer is built once per process, as a module constant, and shared by all threads: `parse` and
`represent` keep no state. Building DRF's fields for each request would cost more than all other
work of a view.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple, cast

from django.utils.translation.trans_real import parse_accept_lang_header
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request

from credits.api.json_object import JsonObject
from credits.api.wire_fields import ConstantField, ShortTextField, UserIdField
from credits.ledger import Origin
from credits.principals import Service, User


class Variant(NamedTuple):
    """One of several forms of a body.

    The fields in `required` must be present, those in `without` must be absent or empty, and those
    in `constants` have a fixed value. The serializer describes all other fields.
    """

    description: str
    required: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    constants: Mapping[str, str] = {}


class WireSerializer(serializers.Serializer[Any]):
    """A serializer whose one instance serves every request.

    For the API's schema, `variants` maps names to the forms of a body that has several. `aliases`
    are fields that are accepted from old clients but not described.
    """

    variants: ClassVar[Mapping[str, Variant]] = {}
    aliases: ClassVar[tuple[str, ...]] = ()

    def parse(self, data: object) -> dict[str, Any]:
        """Validate a JSON object and return its values by source. Raises ValidationError.

        In an optional field, null means the same as no value: clients send it for either.
        """
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"body": ["A JSON object is expected."]})
        values: dict[str, Any] = {}
        errors = {}
        for name, source, required, skips, validate, check in self._inputs:
            value = data.get(name, empty)
            if not required and (value is None or value is empty):
                if skips:
                    continue
                value = empty
            try:
                value = validate(value)
                values[source] = value if check is None else check(value)
            except serializers.ValidationError as error:
                errors[name] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        return cast("dict[str, Any]", self.validate(values))

    def represent(self, subject: object) -> dict[str, Any]:
        """Return `subject` as plain JSON values.

        None is sent as null or, for a field with `required=False`, not at all.
        """
        template, values_of, outputs = self._output
        # The template has the constants, null for all other values, and the order of all names.
        answer = template.copy()
        for (name, optional, convert), value in zip(outputs, values_of(subject), strict=True):
            if value is not None:
                answer[name] = value if convert is None else convert(value)
            elif optional:
                del answer[name]
        return answer

    def to_representation(self, instance: object) -> dict[str, Any]:
        """Represent the subject of a nested serializer."""
        return self.represent(instance)

    @cached_property
    def _inputs(self) -> "list[_Input]":
        return [
            _Input(
                name,
                str(field.source),
                field.required,
                not field.required and field.default is empty,
                field.run_validation,
                getattr(self, f"validate_{name}", None),
            )
            for name, field in self.fields.items()
            if not field.read_only
        ]

    @cached_property
    def _output(self) -> "_Output":
        fields: dict[str, Any] = dict(self.fields.items())
        others = {name: one for name, one in fields.items() if not isinstance(one, ConstantField)}
        return _Output(
            {name: None if name in others else one.value for name, one in fields.items()},
            _values_of([str(field.source) for field in others.values()]),
            [
                (name, not (field.required or field.read_only), _converter(field))
                for name, field in others.items()
            ],
        )


class _Input(NamedTuple):
    """An input field; `skips` if it is optional and has no default.

    `check` is the serializer's `validate_NAME`.
    """

    name: str
    source: str
    required: bool
    skips: bool
    validate: Callable[[Any], Any]
    check: Callable[[Any], Any] | None


class _Output(NamedTuple):
    """The conversion of a subject to JSON values.

    `template` has all names in order and the constant values. `values_of` reads all other values of
    the subject in one call. `outputs` has the name of each, whether it is optional, and its
    conversion, if it is not a JSON value yet.
    """

    template: dict[str, Any]
    values_of: Callable[[Any], tuple[Any, ...]]
    outputs: list[tuple[str, bool, Callable[[Any], Any] | None]]


# These fields send the value unchanged.
_UNCHANGED = {
    serializers.CharField.to_representation,
    serializers.ChoiceField.to_representation,
    serializers.IntegerField.to_representation,
    JsonObject.to_representation,
}


def _converter(field: Any) -> Callable[[Any], Any] | None:
    """Return the function that converts a field's value to JSON, or None if none is needed."""
    if isinstance(field, serializers.UUIDField):
        return str
    represent: Callable[[Any], Any] = field.to_representation
    return None if type(field).to_representation in _UNCHANGED else represent


def _values_of(sources: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that reads all sources of a subject; `*` is the subject itself."""
    # One call of `attrgetter` reads all of them in C. With a single source it would return the bare
    # value instead of a tuple.
    if len(sources) > 1 and "*" not in sources:
        return attrgetter(*sources)
    getters = [_itself if source == "*" else attrgetter(source) for source in sources]
    return lambda subject: tuple(get(subject) for get in getters)


def _itself(subject: Any) -> Any:
    return subject


KEY_LENGTH = 255


class KeyedSerializer(WireSerializer):
    """A body with an optional idempotency key. An empty string means no key."""

    idempotencyKey = ShortTextField(
        source="key",
        max_length=KEY_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The caller's name for the request, unique per user. Empty means no key.",
    )


class UserSerializer(WireSerializer):
    """A body or a path with a user id."""

    userId = UserIdField(source="user_id", help_text="The user.")


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
    # Two keys name two requests. To choose one silently could charge the user twice.
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
