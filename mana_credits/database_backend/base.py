"""The backend itself; Django looks for it in a module of this name."""

import select
import time
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A thread's connection, which goes back to the pool after DATABASE_KEPT_SECONDS.

    Django gives a connection back after each request; to take one again, with its autocommit mode
    and signals, costs as much as to read a balance. The pool stays the bound of a process and
    replaces what breaks. With fewer places than threads nothing may be kept: settings, 0 seconds.
    """

    def connect(self) -> None:
        """Take a connection from the pool."""
        super().connect()
        self.close_at: float | None = time.monotonic() + settings.DATABASE_KEPT_SECONDS

    def close_if_unusable_or_obsolete(self) -> None:
        """Give back a connection that is old, or that the server has closed meanwhile."""
        if self.connection is not None and _was_closed(self.connection):
            self.connection.close()  # so that the pool does not lend it again
            self.close()
        super().close_if_unusable_or_obsolete()


def _was_closed(connection: Any) -> bool:
    """Tell whether there is something to read although nothing was asked: the end, or an error."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))
