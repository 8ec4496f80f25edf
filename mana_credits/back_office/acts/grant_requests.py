"""Campaigns of grants by a file: preview, request, and posting alone or after an approval.

The page and `manage.py grant_credits` use the same functions. `second_person` says what an operator
may grant alone.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID

from credits import spreadsheets
from credits.amounts import counted, plain
from credits.errors import DomainError
from credits.ledger import campaign_grants
from credits.ledger.campaign_grants import FileUsedBefore, State
from credits.ledger.grant_files import GrantFile
from credits.models import ActRequest, CampaignGrant, GrantCampaign
from mana_credits.back_office.acts import act_requests, audit, second_person
from mana_credits.back_office.acts.act_requests import WantedAct
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator

PERMISSION = "credits.grant_to_many"
SECONDS_IN_A_REQUEST = 2.0
RESULT = ("line", "user_id", "credits", "outcome", "detail")
ROWS_AT_ONCE = 2_000


class WantedGrants(NamedTuple):
    """A campaign: its name, the description of its transactions, and its file.

    With `leave_out` the refused lines are left out; without, one of them refuses the file. With
    `again` the file may be that of an earlier campaign.
    """

    name: str
    reason: str
    file: GrantFile
    leave_out: bool = False
    again: bool = False


class GrantsPreview(NamedTuple):
    """The effect of a campaign: its file with all refused lines, and the need of approval.

    `same` users got the same amount in this campaign before and get nothing. `used_by` is the
    campaign that has this file already.
    """

    file: GrantFile
    same: int
    needs_approval: bool
    used_by: GrantCampaign | None


class LinesRefused(DomainError):
    """Lines of the file are invalid, and the operator did not choose to leave them out."""

    code = "lines_refused"
    message = "Lines of the file are refused: correct them, or leave them out"


class NothingToGrant(DomainError):
    """No line of the file grants anything."""

    code = "nothing_to_grant"
    message = "No line of the file grants anything"


def preview(operator: Operator, name: str, file: GrantFile, *, now: datetime) -> GrantsPreview:
    """Return the effect of the file in the campaign `name`, without storing or moving anything."""
    differing, same = campaign_grants.conflicts(name, file)
    kept = file.without(differing)
    used = GrantCampaign.objects.filter(digest=kept.digest, state__in=campaign_grants.LIVE)
    return GrantsPreview(
        kept, same, not _alone(operator, kept, now), used.order_by("-asked_at").first()
    )


def ask(
    operator: Operator, wanted: WantedGrants, *, why: Justification, key: UUID, now: datetime
) -> GrantCampaign:
    """Store a campaign: running within the operator's limits, else pending an approval.

    Raises NotPermitted, AlreadyDone, NoteRequired, LinesRefused, NothingToGrant, FileUsedBefore,
    InvalidAmount.
    """
    why = audit.require_note(why)
    with audit.acting(operator, PERMISSION, why=why, key=key) as act:
        _check(wanted)
        # Before the limit is read, so that two campaigns sent at once cannot both use the rest of
        # it.
        second_person.lock(operator)
        campaign = _campaign(operator, wanted, why, now)
        campaign.pk = key
        act.subject = _subject(campaign)
        if _alone(operator, wanted.file, now):
            act.moved = wanted.file.total
        else:
            request = _request(campaign, wanted.file)
            campaign.state = State.PENDING
            campaign.request = act_requests.ask(operator, request, act, why=why, now=now)
        campaign_grants.store(campaign, wanted.file)
        act.after = {
            **act.after,
            "campaign": wanted.name,
            "users": len(wanted.file.grants),
            "credits": plain(wanted.file.total),
            "left_out": len(wanted.file.refused),
        }
    return campaign


def approved(
    operator: Operator, asked: ActRequest, act: AuditRecord, now: datetime
) -> Callable[[], object]:
    """Return the posting of an approved campaign, which begins after the commit."""
    campaign = GrantCampaign.objects.get(request=asked)
    act.after = {"campaign": campaign.name, "credits": plain(campaign.total)}
    return partial(begin, campaign, now=now)


def begin(campaign: GrantCampaign, *, now: datetime) -> None:
    """Post for about two seconds; the worker posts the rest. Do nothing unless it is running."""
    # A request must end in time; a small campaign is complete when its page appears.
    until = time.monotonic() + SECONDS_IN_A_REQUEST
    for _ in campaign_grants.post(campaign, now=now):
        if time.monotonic() > until:
            return


def result(operator: Operator, campaign: GrantCampaign) -> Iterator[str]:
    """Record the download, and return the lines of the campaign's file with their outcomes."""
    act = AuditRecord(subject=_subject(campaign))
    audit.record(operator, "downloaded_grants", act, why=Justification(note=campaign.name))
    rows = CampaignGrant.objects.filter(campaign=campaign).order_by("line")
    columns = ("line", "user_id", "amount", "outcome", "detail")
    return spreadsheets.lines(RESULT, rows.values_list(*columns).iterator(ROWS_AT_ONCE))


def _check(wanted: WantedGrants) -> None:
    """Raise LinesRefused, NothingToGrant or FileUsedBefore."""
    if wanted.file.refused and not wanted.leave_out:
        raise LinesRefused
    if not wanted.file.grants:
        raise NothingToGrant
    if used := campaign_grants.find(wanted.name, wanted.file.digest):
        raise FileUsedBefore(campaign=used.name, state=used.state)


def _alone(operator: Operator, file: GrantFile, now: datetime) -> bool:
    amounts: dict[str, Decimal] = {one.user_id: one.amount for one in file.grants.values()}
    return second_person.may_grant_alone(operator, amounts, now=now)


def _campaign(
    operator: Operator, wanted: WantedGrants, why: Justification, now: datetime
) -> GrantCampaign:
    return GrantCampaign(
        name=wanted.name,
        reason=wanted.reason,
        again=wanted.again,
        note=why.note,
        state=State.RUNNING,
        asked_by=operator.name,
        asked_at=now,
    )


def _subject(campaign: GrantCampaign) -> str:
    return f"grant_campaign:{campaign.pk}"


def _request(campaign: GrantCampaign, file: GrantFile) -> WantedAct:
    users = len(file.grants)
    return WantedAct(
        act_requests.Kind.GRANTS,
        _subject(campaign),
        {"campaign_id": str(campaign.pk)},
        f"Campaign {campaign.name}: {counted(file.total, 'credit')} to {counted(users, 'user')}",
    )
