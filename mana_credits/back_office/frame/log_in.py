"""The back office's log-in, with limits on attempts and on concurrent password hashes.

Hashing a password takes a third of a second of CPU time, so that only a few run at once.
django-axes counts wrong passwords. This module delays a username and blocks an IP address after too
many. Neither applies where the operator has logged in before, so that strangers cannot lock them
out.
"""

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from axes.models import AccessAttempt, AccessLog
from django.db.models import Max, QuerySet, Sum
from django.utils import timezone
from unfold.forms import AuthenticationForm

from credits.bulkheads import Bulkhead
from credits.client_ip import client_network
from credits.errors import DomainError

# The limits are explained in docs/security.md, "API4". After 10 wrong passwords the pause doubles
# with each further one, so that guessing from many addresses is slow too.
WINDOW = timedelta(minutes=15)  # the window for counting wrong passwords, as AXES_COOLOFF_TIME
FREE_FAILURES_OF_NAME = 10
LONGEST_PAUSE_POWER = 6  # at most 2 ** 6 seconds between two attempts
FAILURES_OF_ADDRESS = 20
# A log-in from an address proves that the operator works there. Operators who were on leave for a
# while are still known.
KNOWN_FOR = timedelta(days=90)
LONGEST_NAME = 150  # the maximum in Django's user model


class TooManyLogIns(DomainError):
    """Too many wrong passwords for this username or from this IP address."""

    code = "too_many_log_ins"
    status = 429
    message = "There were too many wrong passwords. Wait a moment, then try again."


class LogInBusy(DomainError):
    """Other passwords are being checked. This password was not checked."""

    code = "log_in_busy"
    status = 503
    message = "Other log-ins are being checked. Try again in a moment."
    retry_after = 2


# Known clients have one more place, so that strangers who occupy all others keep no operator out.
_hashes = Bulkhead("log_in", refusal=LogInBusy)


class LogInForm(AuthenticationForm):  # type: ignore[misc]
    """A username and a password, checked if the client may try now."""

    def clean(self) -> dict[str, Any]:
        """Check the password. Raises TooManyLogIns, LogInBusy or ValidationError."""
        name = self.cleaned_data.get("username") or ""
        # django-axes stores the name of each failure. A longer one does not fit into its column and
        # would end in an internal error.
        if len(name) > LONGEST_NAME:
            raise self.get_invalid_login_error()
        client = LogInClient(name, client_network(self.request))
        now = timezone.now()
        known = client.is_known(now)
        if not known:
            client.require_turn(now)
        # The limits are checked before: a refused attempt must not occupy a place or cost a hash.
        with _hashes.place(known):
            cleaned: dict[str, Any] = super().clean()
        # After a log-in, which is rare, and not in a job: the rows are personal data and have no
        # use after that time.
        AccessLog.objects.filter(attempt_time__lt=now - KNOWN_FOR).delete()
        return cleaned


class LogInClient(NamedTuple):
    """The username and the IP address (for IPv6: the /56 network) of a log-in."""

    name: str
    address: str

    def is_known(self, now: datetime) -> bool:
        """Return whether this operator has logged in from this address in the last 90 days."""
        known: bool = AccessLog.objects.filter(
            username=self.name, ip_address=self.address, attempt_time__gt=now - KNOWN_FOR
        ).exists()
        return known

    def require_turn(self, now: datetime) -> None:
        """Raise TooManyLogIns while the username must pause or the address has no attempt left."""
        recent = AccessAttempt.objects.filter(attempt_time__gt=now - WINDOW)
        # By name, whatever the addresses: an attacker with many addresses is slowed down as well.
        count, last = _failures(recent.filter(username=self.name))
        if count >= FREE_FAILURES_OF_NAME:
            pause = 2 ** min(count - FREE_FAILURES_OF_NAME, LONGEST_PAUSE_POWER)
            _require_end_of(last + timedelta(seconds=pause), now)
        count, last = _failures(recent.filter(ip_address=self.address))
        if count >= FAILURES_OF_ADDRESS:
            _require_end_of(last + WINDOW, now)


def _failures(attempts: QuerySet[AccessAttempt]) -> tuple[int, datetime]:
    """Return the number of wrong passwords and the time of the last one."""
    found = attempts.aggregate(count=Sum("failures_since_start"), last=Max("attempt_time"))
    return found["count"] or 0, found["last"] or datetime.min.replace(tzinfo=UTC)


def _require_end_of(pause_ends: datetime, now: datetime) -> None:
    if now < pause_ends:
        refusal = TooManyLogIns()
        # Rounded up: a client that waits exactly this long is not refused again.
        refusal.retry_after = ceil((pause_ends - now).total_seconds())
        raise refusal
