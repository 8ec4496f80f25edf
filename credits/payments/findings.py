"""Findings of a reconciliation: the result for each object at Stripe or in our tables."""

from collections.abc import Callable
from typing import NamedTuple

import structlog
from django.db import OperationalError

from credits import due_rows
from credits.due_rows import FAILED, SKIPPED
from credits.payments.stripe_errors import PaymentUnavailable
from credits.payments.stripe_fields import UnreadableObject

logger = structlog.get_logger(__name__)


class Finding(NamedTuple):
    """The result for one object: `applied` describes the change, `unexplained` the difference.

    `failed` is the error that the object raised. A `locked` object was skipped.
    """

    name: str
    applied: str | None = None
    unexplained: str | None = None
    failed: str | None = None
    locked: bool = False

    @property
    def outcome(self) -> str:
        """Return the word under which the run counts the finding."""
        if self.failed:
            return FAILED
        if self.locked:
            return SKIPPED
        return "unexplained" if self.unexplained else "applied" if self.applied else "looked_at"


def guarded(name: str, look: Callable[[], Finding]) -> Finding:
    """Return the finding of `look`, or a finding for its error, so that the run continues.

    Raises PaymentUnavailable, and OperationalError if the database is unavailable.
    """
    try:
        return look()
    # Every further call would wait for the same timeout, so the run ends.
    except PaymentUnavailable:
        raise
    # A format that Stripe does not document is a difference to explain, not a failure to retry.
    except UnreadableObject as error:
        return Finding(name, unexplained=error.text)
    except OperationalError as error:
        if not due_rows.is_locked(error):  # the database is unavailable
            raise
        return Finding(name, locked=True)
    except Exception as error:
        # Only the class and the text of the error are in the finding; the log has the traceback.
        logger.exception("reconciliation_failed", object=name)
        return Finding(name, failed=f"{type(error).__name__}: {error}")
