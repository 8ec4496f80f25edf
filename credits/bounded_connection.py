"""Connections to PostgreSQL that wait for no answer without a bound.

`statement_timeout` ends what runs in the server. It does not end the wait for a synchronous
standby, which follows the commit, and it does not help while the server or the network is frozen.
So the client's side has a limit of its own.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg import errors

COMMIT_SECONDS = 30  # for the commits of commands, whose statements may take their time
CANCEL_SECONDS = 1
UNBOUNDED = float("inf")

_deadline: ContextVar[float] = ContextVar("database_deadline", default=UNBOUNDED)


class OutcomeUnknown(psycopg.OperationalError):
    """The database did not answer in time; whether the change was made is not known.

    A cancelled wait for a synchronous standby commits on the primary alone, and the server reports
    success. So nothing may be read into an answer that came after the limit: only a retry with
    the same idempotency key tells.
    """


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give up every statement of the block `seconds` from now, without asking to cancel it."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives up a statement after `answer_seconds` (0: never)."""

    answer_seconds: float = 0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer as psycopg does, but not longer than the limit."""
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
        """Commit; give up after COMMIT_SECONDS where statements have no limit."""
        limit = self.answer_seconds
        self.answer_seconds = limit or COMMIT_SECONDS
        try:
            super().commit()
        finally:
            self.answer_seconds = limit

    def _give_up(self, gen: Any, interval: float, *, cancel: bool) -> None:
        """Close the connection; raise QueryCanceled when the server says that nothing was done.

        Without the request to cancel, a backend that waits for a standby would stay and keep its
        locks; a few seconds of requests would use up all connections of the server.
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
    """Return a class of connections with the limit."""
    return type("BoundedConnection", (BoundedConnection,), {"answer_seconds": answer_seconds})
