"""DNS lookups that end within a time limit.

The resolver of the C library has its own time limits, of many seconds per server, and cannot be
interrupted. Therefore a lookup runs in a thread of its own, and its caller stops waiting. A lookup
that was given up keeps its thread until the resolver returns, so their number is limited.
"""

import socket
from threading import BoundedSemaphore, Event, Thread

MOST_LOOKUPS = 16
_free = BoundedSemaphore(MOST_LOOKUPS)


class LookupTimeout(OSError):
    """The resolver did not answer in time, or too many lookups wait for it."""


def ip_addresses(host: str, port: int, *, seconds: float | None) -> list[str]:
    """Return the IP addresses of a host, each once. `seconds` is the time limit (None: no limit).

    Raises LookupTimeout, OSError if the name is unknown, and UnicodeError if it is not a name.
    """
    places = _free
    if not places.acquire(blocking=False):
        raise LookupTimeout(f"too many lookups are waiting; {host} was not looked up")
    lookup = _Lookup(host, port, places)
    Thread(target=lookup.run, daemon=True).start()
    if not lookup.done.wait(seconds):
        raise LookupTimeout(f"the lookup of {host} took too long")
    if lookup.error:
        raise lookup.error
    return lookup.found


class _Lookup:
    def __init__(self, host: str, port: int, places: BoundedSemaphore) -> None:
        self._host, self._port, self._places = host, port, places
        self.done = Event()
        self.found: list[str] = []
        self.error: Exception | None = None

    def run(self) -> None:
        """Look the host up and keep the result or the error."""
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(str(one[4][0]) for one in found))
        except (OSError, UnicodeError) as error:
            self.error = error
        finally:
            self._places.release()
            self.done.set()
