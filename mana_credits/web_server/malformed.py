"""Errors of requests that cannot be read or answered."""

from gunicorn.http.errors import ParseException


class MalformedRequest(ParseException):  # type: ignore[misc]
    """The request violates HTTP. The reason is logged; it contains no part of the request."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestTimeout(ParseException):  # type: ignore[misc]
    """The request did not arrive in time."""


class Overloaded(Exception):
    """No thread became free in time."""
