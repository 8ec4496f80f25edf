"""Requests, put together from the bytes of a connection: no thread waits for the rest of one."""

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.message import Request

from mana_credits.web_server.bodies import Body, BodyTooLarge, ChunkedBody, SizedBody
from mana_credits.web_server.malformed import MalformedRequest

MAX_HEAD_BYTES = 64 * 1024
HEAD_END = re.compile(rb"\n\r?\n")
# Folded lines, and line ends that are not CRLF. Proxies read both in different ways, and gunicorn's
# C parser passes a fold on as a header without a name.
AMBIGUOUS = re.compile(rb"\n[ \t]|(?<!\r)\n|\r(?!\n)")


class Arrived(NamedTuple):
    """A whole request; `request` is gunicorn's, with its body in memory.

    A body that is too large is left out, and Content-Length tells the application.
    """

    request: Any
    body_too_large: bool

    @property
    def path(self) -> str:
        """The path as the client wrote it, without the query."""
        return str(self.request.path)


class RequestReader:
    """Keeps what a client has sent until a request is whole.

    `body_limit` returns how many bytes the body of a path may have.
    """

    def __init__(self, cfg: Any, peer: Any, body_limit: Callable[[str], int]) -> None:
        self._cfg = cfg
        self._peer = peer
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._scanned = 0
        self.count = 0  # of requests whose heads were complete
        self._request: Any = None
        self._body: Body | None = None

    @property
    def in_body(self) -> bool:
        """Whether the head is complete and the body is not."""
        return self._request is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a request has arrived."""
        return not self._buffer and self._request is None

    @property
    def held(self) -> int:
        """How many bytes are kept."""
        return len(self._buffer) + (self._body.held if self._body else 0)

    def feed(self, data: bytes) -> Arrived | None:
        """Add what has arrived; return the request that is whole with it, if there is one."""
        self._buffer += data
        return self.next()

    def next(self) -> Arrived | None:
        """Return the next whole request of what has arrived.

        Raise a ParseException for what is not HTTP, as soon as that is certain.
        """
        if self._request is None and not self._read_head():
            return None
        request = self._request
        try:
            body = self._body.take_from(self._buffer) if self._body else b""
        except BodyTooLarge as error:
            # What is left of the body is not a request: the connection ends with this answer.
            request.force_close()
            return self._arrived(b"", error.length, too_large=True)
        return None if body is None else self._arrived(body, len(body))

    def wants_continue(self) -> bool:
        """Tell once whether the client waits for `100 Continue` before it sends the body."""
        wants = bool(self._request and self._request._expected_100_continue)  # noqa: SLF001
        if wants:
            self._request._expected_100_continue = False  # noqa: SLF001
        return wants

    def _arrived(self, body: bytes, length: int, *, too_large: bool = False) -> Arrived:
        request, chunked = self._request, isinstance(self._body, ChunkedBody)
        self._request = self._body = None
        request._expected_100_continue = False  # noqa: SLF001  # gunicorn would send it now
        request.body = io.BytesIO(body)
        if chunked:
            headers = [one for one in request.headers if one[0] != "TRANSFER-ENCODING"]
            request.headers = [*headers, ("CONTENT-LENGTH", str(length))]
        return Arrived(request, too_large)

    def _read_head(self) -> bool:
        """Parse the head, if it is complete."""
        if self._buffer.startswith(b"\r\n") and not self._scanned:
            del self._buffer[:2]  # an empty line before the request is allowed (RFC 9112, 2.2)
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
            raise MalformedRequest("line ends")
        self.count += 1
        self._request = Request(self._cfg, _Head(head), self._peer, self.count)
        self._body = self._expected_body()
        return True

    def _expected_body(self) -> Body | None:
        """Return what reads the body; raise MalformedRequest where its length is ambiguous."""
        request = self._request
        names = {name for name, _ in request.headers}
        if "HOST" not in names and request.version >= (1, 1):
            raise MalformedRequest("no host")
        if "CONNECTION" in names and _closes(request.headers):
            request.force_close()
        if "TRANSFER-ENCODING" in names:
            codings = [value for name, value in request.headers if name == "TRANSFER-ENCODING"]
            if [one.lower() for one in codings] != ["chunked"]:
                raise MalformedRequest("transfer encoding")
        limit = self._body_limit(request.path)
        if isinstance(request.body.reader, ChunkedReader):
            return ChunkedBody(limit)
        return SizedBody(length, limit) if (length := request.body.reader.length) else None


class _Head:
    """A complete head, where gunicorn's parser expects what reads from a socket."""

    def __init__(self, head: bytes) -> None:
        self._head: bytes | None = head

    def read(self) -> bytes:
        """Return the head; the parser asks again only when it takes it for incomplete."""
        if self._head is None:
            raise MalformedRequest("incomplete head")
        head, self._head = self._head, None
        return head

    def unread(self, rest: bytes) -> None:
        """Take back what the parser did not use: nothing, of a head."""
        if rest:
            raise MalformedRequest("head")


def _closes(headers: list[tuple[str, str]]) -> bool:
    """Tell whether the client asks for the connection to be closed, whatever it asks for beside."""
    values = ",".join(value for name, value in headers if name == "CONNECTION")
    return "close" in (option.strip().lower() for option in values.split(","))
