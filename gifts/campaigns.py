"""Campaigns: sets of codes that an operator makes under a name, once however often it is run.

A campaign is paid from an account that has the credits, or from one of its own that an operator
grants them to. What nobody redeems goes back to that account when it expires.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet

from credits.amounts import positive
from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.posting import InsufficientCredits, Memo, Origin
from credits.principals import User
from gifts import codes, transitions
from gifts.codes import NewGift
from gifts.models import Campaign, GiftCode, GiftQuerySet

BATCH = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign is to be: `count` codes of `credits` each.

    `account_id` pays for them. Without one the credits are granted by `actor`, for a `reason`.
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
    """There is a campaign of this name, with other values."""

    code = "campaign_differs"
    status = 409
    message = "There is a campaign of this name with other values; choose another name"


def start(name: str, plan: Plan, *, now: datetime) -> Campaign:
    """Return the campaign `name`, made and provided with credits when there was none.

    An existing one keeps its end. Raises CampaignDiffers, InsufficientCredits, InvalidAmount.
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
            if field not in {"expires_at", "actor"} and getattr(campaign, field) != value
        }
        if differing:
            raise CampaignDiffers(**differing)
        if is_new:
            _provide(campaign, granted=plan.account_id is None)
    return campaign


def make_codes(campaign: Campaign, *, now: datetime) -> Iterator[int]:
    """Make the codes that the campaign still lacks; yield how many there are, batch by batch.

    Each batch is one transaction. Two runs at once share the work.
    """
    made = -1
    while made < campaign.count:
        made = _make_batch(campaign.pk, now)
        yield made


def codes_of(campaign: Campaign) -> GiftQuerySet:
    """Return the campaign's gifts in the order of their numbers."""
    return GiftCode.objects.filter(campaign=campaign).order_by("campaign_number")


def codes_by_status(campaign: Campaign, *, now: datetime) -> dict[str, int]:
    """Return how many of the campaign's gifts are in each status at the moment `now`."""
    gifts: QuerySet[Any] = codes_of(campaign).as_of(now)
    counted = gifts.values("status_now").annotate(count=Count("*")).order_by()
    return {row["status_now"]: row["count"] for row in counted}


def _provide(campaign: Campaign, *, granted: bool) -> None:
    total = campaign.credits * campaign.count
    if granted:
        ledger.grant(
            campaign.account_id,
            total,
            memo=Memo(transitions.APP_ID, campaign.reason or "", {"campaign": campaign.name}),
            origin=Origin(campaign.actor),
            cause=f"grant:campaign:{campaign.name}",
        )
    available = ledger.balance_of(campaign.account_id).available
    if available < total:
        raise InsufficientCredits(required=total, available=available)


@transaction.atomic
def _make_batch(name: str, now: datetime) -> int:
    campaign = Campaign.objects.select_for_update().get(pk=name)
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
    return upto
