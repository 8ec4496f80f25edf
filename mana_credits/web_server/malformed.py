"""What is wrong with a request that cannot be read."""

from gunicorn.http.errors import ParseException


class MalformedRequest(ParseException):  # type: ignore[misc]
    """The request breaks the rules of HTTP; the reason is for the log and quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestTimeout(ParseException):  # type: ignore[misc]
    """The request did not arrive in time."""


class Overloaded(Exception):
    """Nobody can answer the request in time."""
