"""Request bodies, assembled from incoming bytes."""

import re
from typing import Protocol

from mana_credits.web_server.malformed import MalformedRequest

# Limits of a chunk's size line and of the trailers. No real client needs more.
MAX_SIZE_LINE = 256
MAX_TRAILER_BYTES = 8192
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
# An incomplete size line must match this. A malformed one is refused at once, instead of waiting
# for more of it.
PART_OF_SIZE_LINE = re.compile(
    rb"(?:[0-9A-Fa-f]{1,8}(?:[ \t]*|[ \t]*;[\t\x20-\x7e\x80-\xff]*)\r?)?"
)
TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n")


class RequestBodyTooLarge(Exception):
    """The body exceeds the limit of its route. `length` is its announced or minimum length."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


class Body(Protocol):
    """A body that is still arriving."""

    @property
    def held(self) -> int:
        """Return the number of decoded bytes in memory."""

    def take_from(self, buffer: bytearray) -> bytes | None:
        """Move the body's bytes out of `buffer`. Return the body once it is complete, else None.

        Raises RequestBodyTooLarge or MalformedRequest as soon as either is certain.
        """


class SizedBody:
    """A body with a Content-Length."""

    def __init__(self, length: int, limit: int) -> None:
        self._length = length
        self._limit = limit
        self.held = 0  # its bytes stay in the reader's buffer

    def take_from(self, buffer: bytearray) -> bytes | None:
        """Return the body once `buffer` contains all of it, else None."""
        if self._length > self._limit:
            raise RequestBodyTooLarge(self._length)
        if len(buffer) < self._length:
            return None
        body = bytes(buffer[: self._length])
        del buffer[: self._length]
        return body


class ChunkedBody:
    """A chunked body.

    The decoder is strict. If a proxy in front parsed a lenient form differently, a client could
    hide a second request in the body (request smuggling).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self._missing = 0  # missing bytes of the current chunk
        self._in_chunk = False
        self._trailers: int | None = None  # trailer bytes so far, after the last chunk

    @property
    def held(self) -> int:
        """Return the number of decoded bytes."""
        return len(self._body)

    def take_from(self, buffer: bytearray) -> bytes | None:
        """Decode the chunks in `buffer`. Return the body after the last chunk, else None."""
        while self._trailers is None:
            step = self._take_data if self._in_chunk else self._take_size
            if not step(buffer):
                return None
        return bytes(self._body) if self._take_trailers(buffer) else None

    def _take_size(self, buffer: bytearray) -> bool:
        line = SIZE_LINE.match(buffer)
        if line is None:
            if len(buffer) > MAX_SIZE_LINE or not PART_OF_SIZE_LINE.fullmatch(buffer):
                raise MalformedRequest("a chunk's size is invalid")
            return False
        if line.end() > MAX_SIZE_LINE:
            raise MalformedRequest("a chunk extension is too long")
        self._missing = int(line[1], 16)
        length = len(self._body) + self._missing
        if length > self._limit:
            raise RequestBodyTooLarge(length)
        if self._missing:
            self._in_chunk = True
        else:
            self._trailers = 0
        del buffer[: line.end()]
        return True

    def _take_data(self, buffer: bytearray) -> bool:
        data = buffer[: self._missing]
        self._body += data
        self._missing -= len(data)
        del buffer[: len(data)]
        if self._missing or len(buffer) < len(b"\r\n"):
            if bytes(buffer) not in (b"", b"\r"):
                raise MalformedRequest("a chunk must end with CRLF")
            return False
        if not buffer.startswith(b"\r\n"):
            raise MalformedRequest("a chunk must end with CRLF")
        del buffer[:2]
        self._in_chunk = False
        return True

    def _take_trailers(self, buffer: bytearray) -> bool:
        """Discard the trailers, which the application does not use."""
        while not buffer.startswith(b"\r\n"):
            line = TRAILER.match(buffer)
            arrived = len(buffer) if line is None else line.end()
            if (self._trailers or 0) + arrived > MAX_TRAILER_BYTES:
                raise MalformedRequest("the trailers are invalid or too long")
            if line is None:
                if b"\n" in buffer:
                    raise MalformedRequest("the trailers are invalid or too long")
                return False
            self._trailers = (self._trailers or 0) + line.end()
            del buffer[: line.end()]
        del buffer[:2]
        return True
