"""Grants to many users under a campaign's name: each user gets theirs once, whatever happens."""

from decimal import Decimal
from typing import NamedTuple

from django.db import transaction

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin

APP_ID = "campaign"


class Campaign(NamedTuple):
    """A set of grants: its name, why, and which operator gives them."""

    name: str
    reason: str
    actor: str


class Grant(NamedTuple):
    """An amount of credits for a user."""

    user_id: str
    amount: Decimal


class Granted(NamedTuple):
    """The outcome of a grant: `given` now, or the amount that this campaign gave `before`."""

    grant: Grant
    given: bool
    before: Decimal | None


@transaction.atomic
def give(campaign: Campaign, grants: list[Grant]) -> list[Granted]:
    """Give the grants in one transaction, each user's once per campaign. Raises InvalidAmount."""
    return [_give(campaign, grant) for grant in sorted(grants)]


@transaction.atomic
def rehearse(campaign: Campaign, grants: list[Grant]) -> list[Granted]:
    """Give the grants and roll them back: the outcome is that of a run."""
    granted = give(campaign, grants)
    transaction.set_rollback(True)
    return granted


def _give(campaign: Campaign, grant: Grant) -> Granted:
    posting = ledger.grant(
        grant.user_id,
        grant.amount,
        memo=Memo(APP_ID, campaign.reason, {"campaign": campaign.name, "reason": campaign.reason}),
        origin=Origin(campaign.actor),
        cause=_cause(campaign, grant),
    )
    before = posting.transaction.amount if posting.replayed else None
    return Granted(grant, given=not posting.replayed, before=before)


def _cause(campaign: Campaign, grant: Grant) -> str:
    return ledger.grant_cause(grant.user_id, f"campaign:{campaign.name}")
