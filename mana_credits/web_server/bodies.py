"""Request bodies, put together from what arrives."""

import re
from typing import Protocol

from mana_credits.web_server.malformed import MalformedRequest

# A chunk needs no longer line than this, and a body no more trailers.
MAX_SIZE_LINE = 256
MAX_TRAILER_BYTES = 8192
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
PART_OF_SIZE_LINE = re.compile(
    rb"(?:[0-9A-Fa-f]{1,8}(?:[ \t]*|[ \t]*;[\t\x20-\x7e\x80-\xff]*)\r?)?"
)
TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n")


class BodyTooLarge(Exception):
    """The body has more bytes than its route allows, or announces more: at least `length`."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


class Body(Protocol):
    """A body that is still arriving."""

    @property
    def held(self) -> int:
        """How many bytes of it are decoded and kept."""

    def take_from(self, buffer: bytearray) -> bytes | None:
        """Take the body's bytes out of `buffer`; return the body when it is whole.

        Raise BodyTooLarge or MalformedRequest as soon as it is certain.
        """


class SizedBody:
    """A body whose length was announced by Content-Length."""

    def __init__(self, length: int, limit: int) -> None:
        self._length = length
        self._limit = limit
        self.held = 0  # they stay in the buffer

    def take_from(self, buffer: bytearray) -> bytes | None:
        """Return the body when `buffer` holds all of it."""
        if self._length > self._limit:
            raise BodyTooLarge(self._length)
        if len(buffer) < self._length:
            return None
        body = bytes(buffer[: self._length])
        del buffer[: self._length]
        return body


class ChunkedBody:
    """A body in chunks.

    The decoder is strict: a proxy in front may read a lenient form in another way.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self._missing = 0  # bytes of the current chunk
        self._in_chunk = False
        self._trailers: int | None = None  # bytes of them, after the last chunk

    @property
    def held(self) -> int:
        """How many bytes are decoded."""
        return len(self._body)

    def take_from(self, buffer: bytearray) -> bytes | None:
        """Decode the chunks that `buffer` holds; return the body after the last one."""
        while self._trailers is None:
            step = self._take_data if self._in_chunk else self._take_size
            if not step(buffer):
                return None
        return bytes(self._body) if self._take_trailers(buffer) else None

    def _take_size(self, buffer: bytearray) -> bool:
        line = SIZE_LINE.match(buffer)
        if line is None:
            if len(buffer) > MAX_SIZE_LINE or not PART_OF_SIZE_LINE.fullmatch(buffer):
                raise MalformedRequest("chunk size")
            return False
        if line.end() > MAX_SIZE_LINE:
            raise MalformedRequest("chunk extension")
        self._missing = int(line[1], 16)
        length = len(self._body) + self._missing
        if length > self._limit:
            raise BodyTooLarge(length)
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
                raise MalformedRequest("chunk end")
            return False
        if not buffer.startswith(b"\r\n"):
            raise MalformedRequest("chunk end")
        del buffer[:2]
        self._in_chunk = False
        return True

    def _take_trailers(self, buffer: bytearray) -> bool:
        """Drop the trailers, which nobody here reads."""
        while not buffer.startswith(b"\r\n"):
            line = TRAILER.match(buffer)
            arrived = len(buffer) if line is None else line.end()
            if (self._trailers or 0) + arrived > MAX_TRAILER_BYTES:
                raise MalformedRequest("trailers")
            if line is None:
                if b"\n" in buffer:
                    raise MalformedRequest("trailers")
                return False
            self._trailers = (self._trailers or 0) + line.end()
            del buffer[: line.end()]
        del buffer[:2]
        return True
