"""Connections to PostgreSQL that limit how long the client waits for an answer.

`statement_timeout` ends a statement that runs in the server. It does not end the wait for a
synchronous standby, which follows the commit, and it has no effect while the server or the network
is frozen. Therefore the client has its own time limit.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import psycopg
from psycopg import errors

COMMIT_SECONDS = 30  # for commits in commands, whose statements have no time limit
CANCEL_SECONDS = 1
UNBOUNDED = float("inf")

_deadline: ContextVar[float] = ContextVar("database_deadline", default=UNBOUNDED)


class OutcomeUnknown(psycopg.OperationalError):
    """The database did not answer in time, so it is unknown whether the change was made.

    When a wait for a synchronous standby is cancelled, the server has committed on the primary only
    and still reports success. Therefore an answer after the time limit proves nothing. Only a retry
    with the same idempotency key shows the outcome.
    """


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Abandon the block's statements `seconds` from now, without a request to cancel them."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that abandons a statement after `answer_seconds` (0: no limit)."""

    answer_seconds: float = 0

    @cached_property
    def kept_cursor(self) -> psycopg.Cursor[Any]:
        """Return a cursor for short results, which is never closed.

        A new cursor looks up again how each type is sent and read, a third of the client's time for
        a call. This cursor holds its last result in memory.
        """
        return psycopg.Cursor(self)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer as psycopg does, up to the limit. Raises OutcomeUnknown after it."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        left = _deadline.get() - time.monotonic()
        limit = self.answer_seconds or UNBOUNDED
        if left == limit == UNBOUNDED:
            return super().wait(gen, interval)
        try:
            return super().wait(gen, interval, max(min(left, limit), 0.001))
        except errors._WaitTimeout:  # noqa: SLF001  # psycopg has no public name for it
            self._give_up(gen, interval, cancel=limit < left)
        raise OutcomeUnknown("the database did not answer in time")

    def commit(self) -> None:
        """Commit. Without a limit for statements, wait at most COMMIT_SECONDS for the answer."""
        limit = self.answer_seconds
        self.answer_seconds = limit or COMMIT_SECONDS
        try:
            super().commit()
        finally:
            self.answer_seconds = limit

    def _give_up(self, gen: Any, interval: float, *, cancel: bool) -> None:
        """Close the connection; raise QueryCanceled if the server confirms the cancellation.

        Without the request to cancel, a backend that waits for a standby would keep running and
        keep its locks. A few seconds of requests would then use up all connections of the server.
        """
        try:
            if cancel:
                self._try_cancel(timeout=CANCEL_SECONDS)
                super().wait(gen, interval, CANCEL_SECONDS)
        except errors._WaitTimeout:  # noqa: SLF001
            pass
        finally:
            self.pgconn.finish()


def bounded(answer_seconds: float) -> type[BoundedConnection]:
    """Return a connection class that waits at most `answer_seconds` for an answer."""
    # A class, because psycopg's pool takes the class of its connections and no further arguments.
    return type("BoundedConnection", (BoundedConnection,), {"answer_seconds": answer_seconds})
