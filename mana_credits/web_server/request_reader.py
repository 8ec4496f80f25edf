"""Requests, assembled from a connection's bytes, so that no thread waits for the rest of one."""

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.message import Request

from mana_credits.web_server.bodies import Body, ChunkedBody, RequestBodyTooLarge, SizedBody
from mana_credits.web_server.malformed import MalformedRequest

MAX_HEAD_BYTES = 64 * 1024
HEAD_END = re.compile(rb"\n\r?\n")
# Folded lines, and line ends other than CRLF. Proxies parse both differently, which allows request
# smuggling. gunicorn's C parser passes a folded line on as a header without a name.
AMBIGUOUS = re.compile(rb"\n[ \t]|(?<!\r)\n|\r(?!\n)")
# WSGI joins repeated headers. Two keys would be a third one, which no retry sends, and two names a
# third service. All other headers are lists, or are rejected once they are joined.
NOT_REPEATED = ("IDEMPOTENCY-KEY", "X-APP-ID")


class ArrivedRequest(NamedTuple):
    """A complete request. `request` is gunicorn's, with its body in memory.

    A body that is too large is left out. The application detects it by its Content-Length.
    """

    request: Any
    body_too_large: bool

    @property
    def path(self) -> str:
        """Return the path as the client sent it, without the query."""
        return str(self.request.path)


class RequestReader:
    """Keeps a client's bytes until a request is complete.

    `body_limit` returns the maximum number of body bytes for a path.
    """

    def __init__(self, cfg: Any, peer: Any, body_limit: Callable[[str], int]) -> None:
        self.cfg = cfg
        self.peer = peer
        self.peer_is_trusted: bool | None = None  # until the first head
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._scanned = 0
        self.count = 0  # number of complete heads
        self._request: Any = None
        self._body: Body | None = None

    @property
    def in_body(self) -> bool:
        """Return whether the head is complete and the body is not."""
        return self._request is not None

    @property
    def is_empty(self) -> bool:
        """Return whether no byte of a request has arrived."""
        return not self._buffer and self._request is None

    @property
    def held(self) -> int:
        """Return the number of bytes in memory."""
        return len(self._buffer) + (self._body.held if self._body else 0)

    def feed(self, data: bytes) -> ArrivedRequest | None:
        """Add incoming bytes. Return the request if they complete it, else None."""
        self._buffer += data
        return self.next()

    def next(self) -> ArrivedRequest | None:
        """Return the next complete request in the buffer, or None.

        Raises ParseException as soon as the bytes cannot be HTTP.
        """
        if self._request is None and not self._read_head():
            return None
        request = self._request
        try:
            body = self._body.take_from(self._buffer) if self._body else b""
        except RequestBodyTooLarge as error:
            # The rest of the body would be parsed as a request, so the connection must close after
            # this response.
            request.force_close()
            return self._arrived(b"", error.length, too_large=True)
        return None if body is None else self._arrived(body, len(body))

    def wants_continue(self) -> bool:
        """Return whether the client waits for `100 Continue`. A second call returns False."""
        wants = bool(self._request and self._request._expected_100_continue)  # noqa: SLF001
        if wants:
            self._request._expected_100_continue = False  # noqa: SLF001
        return wants

    def _arrived(self, body: bytes, length: int, *, too_large: bool = False) -> ArrivedRequest:
        request, chunked = self._request, isinstance(self._body, ChunkedBody)
        self._request = self._body = None
        request._expected_100_continue = False  # noqa: SLF001  # gunicorn would send it now
        request.body = io.BytesIO(body)
        # The application sees the length that it would see with a Content-Length.
        if chunked:
            headers = [one for one in request.headers if one[0] != "TRANSFER-ENCODING"]
            request.headers = [*headers, ("CONTENT-LENGTH", str(length))]
        return ArrivedRequest(request, too_large)

    def _read_head(self) -> bool:
        """Parse the head if it is complete. Return whether it is."""
        if self._buffer.startswith(b"\r\n") and not self._scanned:
            del self._buffer[:2]  # RFC 9112, 2.2 allows an empty line before the request
        # The end of a head has up to 3 bytes, and 2 of them may have been scanned before.
        end = HEAD_END.search(self._buffer, max(self._scanned - 2, 0))
        size = end.end() if end else len(self._buffer)
        if size > MAX_HEAD_BYTES:
            raise LimitRequestHeaders("head")
        if end is None:
            self._scanned = size
            return False
        head = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._scanned = 0
        if AMBIGUOUS.search(head):
            raise MalformedRequest("lines must end with CRLF, and a header must not be folded")
        self.count += 1
        self._request = _Request(self, head)
        self._body = self._expected_body()
        return True

    def _expected_body(self) -> Body | None:
        """Return the decoder of the body. Raises MalformedRequest if its length is ambiguous."""
        request = self._request
        _check_path(request.path)
        names = [name for name, _ in request.headers]
        if "HOST" not in names and request.version >= (1, 1):
            raise MalformedRequest("the header Host is missing")
        for name in NOT_REPEATED:
            if names.count(name) > 1:
                raise MalformedRequest(f"the header {name.title()} is repeated")
        if "CONNECTION" in names and _closes(request.headers):
            request.force_close()
        if "TRANSFER-ENCODING" in names:
            codings = [value for name, value in request.headers if name == "TRANSFER-ENCODING"]
            if [one.lower() for one in codings] != ["chunked"]:
                raise MalformedRequest("the only transfer encoding is chunked")
        limit = self._body_limit(request.path)
        if isinstance(request.body.reader, ChunkedReader):
            return ChunkedBody(limit)
        return SizedBody(length, limit) if (length := request.body.reader.length) else None


class _Request(Request):  # type: ignore[misc]
    """gunicorn's request, which checks the address of a connection's peer only once."""

    def __init__(self, reader: RequestReader, head: bytes) -> None:
        self._reader = reader
        super().__init__(reader.cfg, _Head(head), reader.peer, reader.count)

    def _peer_is_trusted_proxy(self) -> bool:
        if self._reader.peer_is_trusted is None:
            self._reader.peer_is_trusted = bool(super()._peer_is_trusted_proxy())
        return self._reader.peer_is_trusted


class _Head:
    """A complete head, for gunicorn's parser, which expects to read from a socket."""

    def __init__(self, head: bytes) -> None:
        self._head: bytes | None = head

    def read(self) -> bytes:
        """Return the head. A second call means that the parser regards it as incomplete."""
        if self._head is None:
            raise MalformedRequest("the head is incomplete")
        head, self._head = self._head, None
        return head

    def unread(self, rest: bytes) -> None:
        """Accept no bytes back: a complete head leaves none."""
        if rest:
            raise MalformedRequest("the head is invalid")


def _check_path(path: str) -> None:
    """Raise MalformedRequest if the target is not a path in ASCII."""
    # `OPTIONS *` and `CONNECT host:port` name no path. An absolute URL may have an empty one.
    if path and path[0] != "/":
        raise MalformedRequest("the target must be a path")
    # gunicorn would decode the bytes as Latin-1, so that `é` in UTF-8 names another user.
    if not path.isascii():
        raise MalformedRequest("characters other than ASCII must be percent-encoded in the path")


def _closes(headers: list[tuple[str, str]]) -> bool:
    """Return whether the client asks to close the connection, among other options."""
    values = ",".join(value for name, value in headers if name == "CONNECTION")
    return "close" in (option.strip().lower() for option in values.split(","))
