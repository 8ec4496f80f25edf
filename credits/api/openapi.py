"""How views and serializers describe themselves for the API's OpenAPI schema."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers

from credits.errors import DomainError

View = TypeVar("View", bound=Callable[..., Any])


class Variant(NamedTuple):
    """One of several forms of a body.

    Fields `required` must be there, those in `without` must be absent or empty, and `constants`
    have one value. What else a form says stands in the serializer.
    """

    description: str
    required: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    constants: Mapping[str, str] = {}


class Description(NamedTuple):
    """What the schema cannot see in a view.

    `refuses` are the errors of the domain that the operation answers with, `path` the fields of
    its path, `keyed` whether it takes the header `Idempotency-Key` without a body that does,
    `cacheable` whether it answers 304 to `If-None-Match`, and `scope` the scope that a service key
    needs for it.
    """

    refuses: tuple[type[DomainError], ...] = ()
    path: Mapping[str, serializers.Field[Any, Any, Any, Any]] = {}
    keyed: bool = False
    cacheable: bool = False
    scope: str | None = None


def operation(
    operation_id: str,
    *,
    response: Any,
    request: Any = None,
    parameters: Sequence[type[serializers.Serializer[Any]] | OpenApiParameter] = (),
    **described: Any,
) -> Callable[[View], View]:
    """Describe a view. `response` is a serializer, or one by status; see Description."""
    responses = response if isinstance(response, dict) else {200: response}

    def decorate(view: View) -> View:
        view.described = Description(**described)  # type: ignore[attr-defined]
        extended: View = extend_schema(
            operation_id=operation_id,
            request=request,
            responses=responses,
            parameters=list(parameters),
        )(view)
        return extended

    return decorate
