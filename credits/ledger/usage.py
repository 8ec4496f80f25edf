"""Usage statistics: the credits that a user spent, by app and UTC day."""

from datetime import date, timedelta

from django.db.models import QuerySet

from credits.errors import DomainError
from credits.models import UsageStat

LONGEST_SPAN = timedelta(days=366)
USUAL_SPAN = timedelta(days=30)


class InvalidSpan(DomainError):
    """`from` is after `to`, or usage of more than 366 days is asked for."""

    code = "invalid_span"
    field = "from"
    message = "from must not be after to"


def of_user(
    user_id: str, *, first: date | None, last: date | None, today: date
) -> QuerySet[UsageStat]:
    """Return the user's statistics of the UTC days `first` to `last`, newest first.

    `last` defaults to `today`, and `first` to 30 days before `last`. Raises InvalidSpan.
    """
    # A first day in the future is an empty span, not an invalid one.
    last = last or max(today, first or today)
    first = first or last - min(USUAL_SPAN, last - date.min)
    if last - first > LONGEST_SPAN:
        longest = f"from must be at most {LONGEST_SPAN.days} days before to ({last.isoformat()})"
        raise InvalidSpan(longest)
    return UsageStat.objects.filter(user_id=user_id, date__range=(first, last)).order_by(
        "-date", "app_id"
    )
