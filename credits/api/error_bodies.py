"""Bodies of errors on the wire: `{"statusCode":402,"message":"…","code":"…","details":{…}}`."""

from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.serializers import as_serializer_error

from credits.errors import DomainError


def of_domain(error: DomainError) -> dict[str, Any]:
    """Return the body for an error of the domain."""
    body = envelope(error.status, error.text, error.code, error.details, field=error.field)
    if error.says_error:
        body["error"] = error.text
    return body


def of_validation(error: ValidationError) -> dict[str, Any]:
    """Return the body for invalid input."""
    # Of a gift (`InvalidGift`): its app shows only the message.
    message = getattr(error, "message", "Validation failed")
    return envelope(400, message, "validation_failed", as_serializer_error(error))


def envelope(
    status: int,
    message: str,
    code: str,
    details: dict[str, Any] | None = None,
    *,
    field: str = "body",
) -> dict[str, Any]:
    """Return the body of an error. With status 400 it always has details, at least for `field`."""
    body: dict[str, Any] = {"statusCode": status, "message": message, "code": code}
    if status == HTTPStatus.FORBIDDEN:
        # Clients of the earlier service read this field.
        body["error"] = "Forbidden"
    if status == HTTPStatus.BAD_REQUEST and not details:
        details = {camel_case(field): [message]}
    if details:
        body["details"] = details
    return body


def camel_case(name: str) -> str:
    """Return a Python name in the wire's spelling: `expires_at` becomes `expiresAt`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
