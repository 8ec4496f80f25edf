"""Descriptions of views for the API's OpenAPI schema."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers

from credits.errors import DomainError

View = TypeVar("View", bound=Callable[..., Any])


class Description(NamedTuple):
    """The properties of a view that the schema generator cannot derive.

    `refuses` are the domain errors that the operation answers with. `path` holds the fields of its
    path. `keyed` says that it accepts the header `Idempotency-Key` although its body has no such
    field. `cacheable` says that it answers 304 to `If-None-Match`. `linked` says that the header
    `Link` leads to the next answer although the view has no paginator. `scope` is the scope that a
    service key needs.
    """

    refuses: tuple[type[DomainError], ...] = ()
    path: Mapping[str, serializers.Field[Any, Any, Any, Any]] = {}
    keyed: bool = False
    cacheable: bool = False
    linked: bool = False
    scope: str | None = None


def operation(
    operation_id: str,
    *,
    response: Any,
    request: Any = None,
    parameters: Sequence[type[serializers.Serializer[Any]] | OpenApiParameter] = (),
    **described: Any,
) -> Callable[[View], View]:
    """Describe a view. `response` is a serializer, or a mapping from status to serializer.

    The other keyword arguments are the fields of Description.
    """
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
