"""Grants to many users in a campaign, once per user and campaign."""

from decimal import Decimal
from typing import NamedTuple

from django.db import transaction

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin

APP_ID = "campaign"


class Campaign(NamedTuple):
    """A set of grants: its name, its reason, and the operator as `operator:NAME`."""

    name: str
    reason: str
    actor: str


class Grant(NamedTuple):
    """An amount of credits for a user."""

    user_id: str
    amount: Decimal


class Granted(NamedTuple):
    """The outcome of a grant: `given` now, or else the amount that the campaign gave `before`."""

    grant: Grant
    given: bool
    before: Decimal | None


@transaction.atomic
def give(campaign: Campaign, grants: list[Grant]) -> list[Granted]:
    """Post the grants in one transaction, once per user and campaign. Raises InvalidAmount."""
    # Sorted by user id, the lock order of balances.
    return [_give(campaign, grant) for grant in sorted(grants)]


@transaction.atomic
def rehearse(campaign: Campaign, grants: list[Grant]) -> list[Granted]:
    """Post the grants, roll them back, and return the outcome of a real run."""
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
