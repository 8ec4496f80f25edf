"""Database errors that a caller can retry, and the API errors that they map to.

Every other database error is a defect and is answered with 500.
"""

import structlog
from django.db import Error, InterfaceError, OperationalError, connection

from credits.bulkheads import TooBusy
from credits.errors import DomainError
from credits.postgresql.bounded_connection import OutcomeUnknown

# Lock not available, serialization failure, deadlock: nothing was changed.
CONFLICTS = {"55P03", "40001", "40P01"}
CANCELLED = "57014"
READ_ONLY = "25006"
# psycopg and Django map class 25 to InternalError, not to OperationalError.
IDLE_IN_TRANSACTION = "25P03"

logger = structlog.get_logger(__name__)


class DatabaseUnavailable(DomainError):
    """The database cannot be reached, is starting or shutting down, or has no free connection."""

    code = "database_unavailable"
    status = 503
    message = "The service is unavailable for a moment"
    retry_after = 5


class DatabaseReadOnly(DatabaseUnavailable):
    """The database is read-only: it is a standby or a demoted primary."""

    code = "database_read_only"


class DatabaseTimeout(DatabaseUnavailable):
    """The statement took too long and was cancelled; nothing was changed."""

    code = "database_timeout"


class ChangeUnconfirmed(DatabaseUnavailable):
    """The database did not answer in time. Retry with the same idempotency key."""

    code = "outcome_unknown"
    message = "The database did not answer in time; send the request again with the same key"


def refusal_for(error: Exception) -> DomainError | None:
    """Return the API error for a database error, or None if the error is a defect."""
    if not isinstance(error, Error):
        return None
    refusal = _refusal(error)
    if refusal is not None and not isinstance(refusal, TooBusy):
        cause = type(error.__cause__).__name__
        logger.error(refusal.code, error=cause, sqlstate=_state(error))
    return refusal


def _refusal(error: Error) -> DomainError | None:
    state = _state(error)
    # After a failover, pooled connections lead to the demoted primary until they are closed.
    if state == READ_ONLY:
        _discard_connection()
        return DatabaseReadOnly()
    if not isinstance(error, OperationalError | InterfaceError):
        return DatabaseUnavailable() if state == IDLE_IN_TRANSACTION else None
    if isinstance(error.__cause__, OutcomeUnknown):
        return ChangeUnconfirmed()
    # The statement was rolled back, so a retry is safe even without an idempotency key.
    if state in CONFLICTS:
        return TooBusy()
    return DatabaseTimeout() if state == CANCELLED else DatabaseUnavailable()


def _state(error: Error) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def _discard_connection() -> None:
    """Close the connection so that the pool opens a new one to the current primary."""
    if connection.connection is not None:
        connection.connection.close()
        connection.close()  # returns it to the pool, which replaces a closed connection
