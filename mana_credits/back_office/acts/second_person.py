"""What one operator may do alone: limits of moved credits, and who counts as a second person.

The limits are sums of absolute amounts, in credits, within 24 hours: `ADMIN_ADJUST_LIMIT` on one
account, `ADMIN_ADJUST_LIMIT_TOTAL` over all accounts. Adjustments, reversals and refunds count.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Sum

from credits.errors import DomainError
from credits.models import StaffAction
from mana_credits.back_office.acts.audit import Operator

WINDOW = timedelta(hours=24)
MANAGE_STAFF = "credits.manage_staff"


class CannotDecideOwnRequest(DomainError):
    """An operator cannot decide about their own request."""

    code = "own_request"
    status = 403
    message = "You cannot decide about your own request"


class NotIndependent(DomainError):
    """One of two operators manages the other's account. Details: `days`."""

    code = "not_independent"
    status = 403
    message = (
        "One of you created or changed the other's account in the last days, or one colleague "
        "did both: somebody else has to decide"
    )


def lock(operator: Operator) -> None:
    """Lock the operator: concurrent acts must not use the same remainder of a limit."""
    list(get_user_model().objects.select_for_update().filter(username=operator.name))


def left_alone(operator: Operator, user_id: str, *, now: datetime) -> Decimal:
    """Return how many credits the operator may still move alone on the account, 0 or more."""
    recent = StaffAction.objects.filter(operator=operator.name, at__gt=now - WINDOW)
    on_account = settings.ADMIN_ADJUST_LIMIT - _moved(recent.filter(user_id=user_id))
    in_total = settings.ADMIN_ADJUST_LIMIT_TOTAL - _moved(recent)
    return max(min(on_account, in_total), Decimal(0))


def require_independent(asker: str, decider: str, *, now: datetime) -> None:
    """Raise CannotDecideOwnRequest or NotIndependent unless the decider is a second person.

    An operator who created another's account, gave it roles, a password or a new second factor can
    act as both, for `ADMIN_NEW_OPERATOR_DAYS` days. Two accounts that a third one managed in that
    time may both be that person's.
    """
    if asker == decider:
        raise CannotDecideOwnRequest
    days = settings.ADMIN_NEW_OPERATOR_DAYS
    recent = StaffAction.objects.filter(action=MANAGE_STAFF, at__gt=now - timedelta(days=days))
    if decider in _connected(asker, recent.values_list("operator", "subject")):
        raise NotIndependent(days=days)


def _moved(acts: "Iterable[StaffAction]") -> Decimal:
    moved: Decimal | None = acts.aggregate(moved=Sum("moved"))["moved"]  # type: ignore[attr-defined]
    return moved or Decimal(0)


def _connected(name: str, managed: Iterable[tuple[str, str]]) -> set[str]:
    """Return the operators that are linked to `name` by who managed whose account."""
    links = [{manager, subject.removeprefix("operator:")} for manager, subject in managed]
    found = {name}
    # Managed accounts form a graph. Everybody connected to the asker may be the same person.
    while grown := [link for link in links if link & found and not link <= found]:
        found.update(*grown)
    return found
