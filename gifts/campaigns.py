"""Campaigns: sets of gift codes under a name, created once even if the command is repeated.

A campaign is paid from an existing account, or from its own account to which an operator grants the
credits. When unredeemed codes expire, their credits return to that account.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet

from credits import due_rows, ledger
from credits.amounts import positive
from credits.due_rows import DueWork
from credits.errors import DomainError
from credits.ledger import InsufficientCredits, Memo, Origin
from credits.principals import User
from gifts import codes, transitions
from gifts.codes import NewGift
from gifts.models import Campaign, GiftCode, GiftQuerySet

MAKE_JOB = "make_gift_codes"
# Small, because a batch keeps the account's balance locked until it commits.
BATCH = 100
BATCHES_PER_RUN = 5


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """The values of a campaign: `count` codes of `credits` each.

    The account `account_id` pays for them. Without one, `actor` grants the credits for `reason`.
    """

    count: int
    credits: Decimal
    expires_at: datetime
    actor: str
    account_id: str | None = None
    reason: str | None = None
    message: str | None = None
    creator_name: str | None = None


class CampaignDiffers(DomainError):
    """A campaign with this name exists and has other values. Details: its differing values."""

    code = "campaign_differs"
    status = 409
    message = "A campaign with this name exists and has other values; choose another name"


def start(name: str, plan: CampaignPlan, *, now: datetime) -> Campaign:
    """Return the campaign `name`; create it and provide its credits if it does not exist.

    An existing campaign keeps its expiry. Raises CampaignDiffers, InsufficientCredits,
    InvalidAmount.
    """
    positive(plan.credits)
    account_id = plan.account_id or f"campaign:{name}"
    wanted = {**asdict(plan), "account_id": account_id}
    with transaction.atomic():
        campaign, is_new = Campaign.objects.get_or_create(
            name=name, defaults={**wanted, "created_at": now}
        )
        differing = {
            field: getattr(campaign, field)
            for field, value in wanted.items()
            # A repeated command computes a later expiry and may come from another operator.
            if field not in {"expires_at", "actor"} and getattr(campaign, field) != value
        }
        if differing:
            raise CampaignDiffers(**differing)
        if is_new:
            _provide(campaign, granted=plan.account_id is None)
    return campaign


def make_codes(campaign: Campaign, *, now: datetime) -> Iterator[int]:
    """Create the missing codes of the campaign; after each batch, yield the number of its codes.

    Each batch is one transaction. Two runs at the same time share the work.
    """
    made = -1
    while made < campaign.count:
        made = _make_batch(campaign.pk, now)
        yield made


def make_missing(*, now: datetime, limit: int) -> Iterator[str]:
    """Create missing codes of up to `limit` campaigns; yield the outcome of each.

    Postponed campaigns are left out, such as one whose account can no longer pay.
    """
    work = DueWork(MAKE_JOB, _unmade(), "created_at", partial(_make_some, now=now), "account_id")
    for settled in due_rows.settle_each(work, now=now, limit=limit):
        yield settled.outcome


def next_due(now: datetime) -> datetime | None:
    """Return when the oldest campaign with missing codes was created, or None without one."""
    return due_rows.next_due(MAKE_JOB, _unmade(), "created_at", now=now)


def codes_of(campaign: Campaign) -> GiftQuerySet:
    """Return the campaign's gifts in the order of their numbers."""
    return GiftCode.objects.filter(campaign=campaign).order_by("campaign_number")


def codes_by_status(campaign: Campaign, *, now: datetime) -> dict[str, int]:
    """Return the number of the campaign's gifts by their status at `now`."""
    gifts: QuerySet[Any] = codes_of(campaign).as_of(now)
    counted = gifts.values("status_now").annotate(count=Count("*")).order_by()
    return {row["status_now"]: row["count"] for row in counted}


def _unmade() -> QuerySet[Campaign]:
    return Campaign.objects.filter(made_at=None)


def _make_some(campaign: Campaign, *, now: datetime) -> str:
    # All in the worker's transaction for this row, which holds the lock on the account's balance.
    for _ in range(BATCHES_PER_RUN):
        _make_batch(campaign.pk, now)
    return "made"


def _provide(campaign: Campaign, *, granted: bool) -> None:
    total = campaign.credits * campaign.count
    if granted:
        ledger.grant(
            campaign.account_id,
            total,
            memo=Memo(transitions.APP_ID, campaign.reason or "", {"campaign": campaign.name}),
            origin=Origin(campaign.actor),
            # The cause names the campaign, so that a repeated command grants once.
            cause=f"grant:campaign:{campaign.name}",
        )
    # Checked in advance for all codes. Otherwise a campaign could stop halfway for lack of credits.
    available = ledger.balance_of(campaign.account_id).available
    if available < total:
        raise InsufficientCredits(required=total, available=available)


@transaction.atomic
def _make_batch(name: str, now: datetime) -> int:
    # The lock makes concurrent runs take the batches in turns, so numbers have no gaps.
    campaign = Campaign.objects.select_for_update().get(pk=name)
    if campaign.made_at:
        return campaign.count
    made = codes_of(campaign).count()
    upto = min(made + BATCH, campaign.count)
    for number in range(made + 1, upto + 1):
        codes.create(
            User(campaign.account_id, name=campaign.creator_name),
            NewGift(
                campaign.credits,
                campaign.expires_at,
                message=campaign.message,
                place=(campaign, number),
            ),
            origin=Origin(campaign.actor),
            now=now,
        )
    if upto >= campaign.count:
        campaign.made_at = now
        campaign.save(update_fields=["made_at"])
    return upto
