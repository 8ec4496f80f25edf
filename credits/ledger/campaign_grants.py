"""Grants to many users under a campaign's name: each user gets theirs once, whatever happens."""

from decimal import Decimal
from typing import NamedTuple

from django.db import transaction

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Transaction

APP_ID = "campaign"


class Campaign(NamedTuple):
    """A set of grants: its name, why, and which operator gives them."""

    name: str
    reason: str
    actor: str


class Grant(NamedTuple):
    """So many credits for a user."""

    user_id: str
    amount: Decimal


class Granted(NamedTuple):
    """What became of a grant: `given` anew, or what the user had got by this campaign `before`."""

    grant: Grant
    given: bool
    before: Decimal | None


def plan(campaign: Campaign, grants: list[Grant]) -> list[Granted]:
    """Return what `give` would do, and change nothing."""
    causes = [_cause(campaign, grant) for grant in grants]
    known = dict(Transaction.objects.filter(cause__in=causes).values_list("cause", "amount"))
    planned = []
    for grant in sorted(grants):
        before = known.get(_cause(campaign, grant))
        planned.append(Granted(grant, given=before is None, before=before))
        known.setdefault(_cause(campaign, grant), grant.amount)
    return planned


@transaction.atomic
def give(campaign: Campaign, grants: list[Grant]) -> list[Granted]:
    """Give the grants in one transaction, each user's once per campaign. Raises InvalidAmount."""
    return [_give(campaign, grant) for grant in sorted(grants)]


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
