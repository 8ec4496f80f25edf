"""The log-in of the back office: how often, how many at once, and whom strangers cannot lock out.

A password's hash takes a third of a second of a processor, so only few are made at once. Wrong
passwords are counted by django-axes; here a name is slowed down and an address is stopped. Where
an operator has logged in before, neither counts: strangers elsewhere cannot keep them out.
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

WINDOW = timedelta(minutes=15)  # in which wrong passwords count, AXES_COOLOFF_TIME
FREE_FAILURES_OF_NAME = 10
LONGEST_PAUSE_POWER = 6  # 2 ** 6 seconds between two tries
FAILURES_OF_ADDRESS = 20
KNOWN_FOR = timedelta(days=90)
LONGEST_NAME = 150  # of Django's users


class TooManyLogIns(DomainError):
    """Too many wrong passwords for this name, or from this address."""

    code = "too_many_log_ins"
    status = 429
    message = "There were too many wrong passwords. Wait a moment, then try again."


class LogInBusy(DomainError):
    """Other passwords are being checked; this one was not."""

    code = "log_in_busy"
    status = 503
    message = "Other log-ins are being checked. Try again in a moment."
    retry_after = 2


# One more place for those who logged in from there before.
_hashes = Bulkhead("log_in", refusal=LogInBusy)


class LogInForm(AuthenticationForm):  # type: ignore[misc]
    """A name and a password, checked when it is this client's turn."""

    def clean(self) -> dict[str, Any]:
        """Check the password; raise TooManyLogIns, LogInBusy, or a ValidationError."""
        name = self.cleaned_data.get("username") or ""
        if len(name) > LONGEST_NAME:
            raise self.get_invalid_login_error()
        client = Client(name, client_network(self.request))
        now = timezone.now()
        known = client.is_known(now)
        if not known:
            client.require_turn(now)
        with _hashes.place(known):
            cleaned: dict[str, Any] = super().clean()
        AccessLog.objects.filter(attempt_time__lt=now - KNOWN_FOR).delete()
        return cleaned


class Client(NamedTuple):
    """Who logs in: as which operator, from which address (of IPv6 the network of 56 bits)."""

    name: str
    address: str

    def is_known(self, now: datetime) -> bool:
        """Return whether this operator has logged in from this address in the last 90 days."""
        known: bool = AccessLog.objects.filter(
            username=self.name, ip_address=self.address, attempt_time__gt=now - KNOWN_FOR
        ).exists()
        return known

    def require_turn(self, now: datetime) -> None:
        """Raise TooManyLogIns while the name has to pause or the address has no try left."""
        recent = AccessAttempt.objects.filter(attempt_time__gt=now - WINDOW)
        count, last = _failures(recent.filter(username=self.name))
        if count >= FREE_FAILURES_OF_NAME:
            pause = 2 ** min(count - FREE_FAILURES_OF_NAME, LONGEST_PAUSE_POWER)
            _require_end_of(last + timedelta(seconds=pause), now)
        count, last = _failures(recent.filter(ip_address=self.address))
        if count >= FAILURES_OF_ADDRESS:
            _require_end_of(last + WINDOW, now)


def _failures(attempts: QuerySet[AccessAttempt]) -> tuple[int, datetime]:
    """Return how many wrong passwords there were, and when the last one was."""
    found = attempts.aggregate(count=Sum("failures_since_start"), last=Max("attempt_time"))
    return found["count"] or 0, found["last"] or datetime.min.replace(tzinfo=UTC)


def _require_end_of(pause_ends: datetime, now: datetime) -> None:
    if now < pause_ends:
        refusal = TooManyLogIns()
        refusal.retry_after = ceil((pause_ends - now).total_seconds())
        raise refusal
