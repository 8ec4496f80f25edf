"""The backend. Django requires this module name."""

import select
import time
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

# A connection that was checked this recently is not checked again. Django checks before and after
# each request, and a check gives up the interpreter lock, for which other threads wait.
CHECK_SECONDS = 0.05


class DatabaseWrapper(base.DatabaseWrapper):
    """A thread's connection, which returns to the pool after DATABASE_KEPT_SECONDS.

    By default, Django returns a connection after each request. Taking one again, with its
    autocommit mode and signals, costs as much as reading a balance. The pool still limits the
    connections of a process and replaces broken ones. The setting must be 0 if the pool has fewer
    connections than the process has threads.
    """

    def connect(self) -> None:
        """Take a connection from the pool."""
        super().connect()
        now = time.monotonic()
        self.check_at = now + CHECK_SECONDS
        self.close_at: float | None = now + settings.DATABASE_KEPT_SECONDS

    def close_if_unusable_or_obsolete(self) -> None:
        """Return a connection to the pool if it is too old or closed by the server."""
        now = time.monotonic()
        if self.connection is not None and now >= self.check_at:
            self.check_at = now + CHECK_SECONDS
            if _was_closed(self.connection):
                self.connection.close()  # a closed connection is discarded by the pool
                self.close()
        super().close_if_unusable_or_obsolete()


def _was_closed(connection: Any) -> bool:
    """Return whether the socket is readable without a query: closed, or an error."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))
