"""The limits of acts without a second person, and the check that a second person is independent.

The limits are sums of absolute amounts, in credits, within 24 hours: `ADMIN_ADJUST_LIMIT` on one
account, `ADMIN_ADJUST_LIMIT_TOTAL` over all accounts. Adjustments, reversals, refunds and grants by
a file count.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import QuerySet, Sum

from credits.errors import DomainError
from credits.models import CampaignGrant, StaffAction
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
    moved = _moved_by_account(operator, now, {"user_id": user_id})[user_id]
    on_account = settings.ADMIN_ADJUST_LIMIT - moved
    return max(min(on_account, left_in_total(operator, now=now)), Decimal(0))


def left_in_total(operator: Operator, *, now: datetime) -> Decimal:
    """Return how many credits the operator may still move alone over all accounts, 0 or more."""
    left: Decimal = settings.ADMIN_ADJUST_LIMIT_TOTAL - _moved(_recent(operator, now))
    return max(left, Decimal(0))


def may_grant_alone(operator: Operator, amounts: Mapping[str, Decimal], *, now: datetime) -> bool:
    """Return whether the operator may grant these users these credits alone."""
    if sum(amounts.values()) > left_in_total(operator, now=now):
        return False
    moved = _moved_by_account(operator, now, {})
    limit = settings.ADMIN_ADJUST_LIMIT
    return all(amount <= limit - moved[user_id] for user_id, amount in amounts.items())


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


def _recent(operator: Operator, now: datetime) -> QuerySet[StaffAction]:
    return StaffAction.objects.filter(operator=operator.name, at__gt=now - WINDOW)


def _moved(acts: QuerySet[StaffAction]) -> Decimal:
    moved: Decimal | None = acts.aggregate(moved=Sum("moved"))["moved"]
    return moved or Decimal(0)


def _moved_by_account(
    operator: Operator, now: datetime, account: dict[str, str]
) -> "defaultdict[str, Decimal]":
    """Return what the operator moved alone, by account; of one account if it is given.

    A campaign of grants has one act, without an account. Its rows name the accounts.
    """
    alone = CampaignGrant.objects.filter(
        campaign__asked_by=operator.name,
        # A campaign with a request was approved by a second person, so it uses no limit.
        campaign__request=None,
        campaign__asked_at__gt=now - WINDOW,
        # Waiting rows count before they are posted. Otherwise an operator could use the limit again
        # while the worker posts.
        outcome__in=(CampaignGrant.Outcome.WAITING, CampaignGrant.Outcome.GRANTED),
    )
    acts = _recent(operator, now).filter(moved__isnull=False, user_id__isnull=False)
    found = defaultdict[str, Decimal](Decimal)
    for rows, amount in ((acts, "moved"), (alone, "amount")):
        summed = rows.filter(**account).values_list("user_id").annotate(Sum(amount)).order_by()
        for user_id, moved in summed:
            found[user_id] += moved
    return found


def _connected(name: str, managed: Iterable[tuple[str, str]]) -> set[str]:
    """Return the operators that are linked to `name` by who managed whose account."""
    links = [{manager, subject.removeprefix("operator:")} for manager, subject in managed]
    found = {name}
    # Managed accounts form a graph. Everybody connected to the asker may be the same person.
    while grown := [link for link in links if link & found and not link <= found]:
        found.update(*grown)
    return found
