"""Campaigns of gift codes: requests, creation alone or after an approval, and their codes.

The page and `manage.py create_gift_codes` use the same functions.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID

from credits import spreadsheets
from credits.amounts import counted, plain
from credits.errors import DomainError
from credits.models import ActRequest
from gifts import campaigns, code_format
from gifts.campaigns import CampaignPlan
from gifts.models import Campaign, GiftCode
from mana_credits.back_office.acts import act_requests, audit, second_person
from mana_credits.back_office.acts.act_requests import WantedAct
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator
from mana_credits.back_office.templatetags.office import in_credits

PERMISSION = "gifts.create_campaign"
VIEW_CODES = "gifts.view_codes"
SECONDS_IN_A_REQUEST = 2.0
CODES = ("code", "url", "credits")


class WantedCodes(NamedTuple):
    """A campaign: `codes` gift codes of `credits` each, which expire `days` after their creation.

    The account `account_id` pays for them. Without one, the operator grants the credits for
    `reason`.
    """

    name: str
    codes: int
    credits: Decimal
    days: int
    account_id: str | None = None
    reason: str | None = None
    message: str | None = None
    creator_name: str | None = None

    @property
    def total(self) -> Decimal:
        """Return the credits of all codes."""
        return self.credits * self.codes

    def plan(self, operator: Operator, now: datetime) -> CampaignPlan:
        """Return the plan of the campaign if the operator creates it now."""
        return CampaignPlan(
            self.codes,
            self.credits,
            now + timedelta(days=self.days),
            actor=operator.actor,
            account_id=self.account_id,
            reason=self.reason,
            message=self.message,
            creator_name=self.creator_name,
        )


class CampaignExists(DomainError):
    """A campaign with this name exists."""

    code = "campaign_exists"
    status = 409
    message = "A campaign with this name exists; choose another name"


class CodesNotMade(DomainError):
    """The campaign's codes are still being created."""

    code = "codes_not_made"
    status = 409
    message = "The codes are still being created: try again when all are there"


class CodesTaken(DomainError):
    """The codes were downloaded before. Details: `by`, `at`."""

    code = "codes_taken"
    status = 409
    message = "The codes were downloaded before; they are shown once"


def ask(
    operator: Operator, wanted: WantedCodes, *, why: Justification, key: UUID, now: datetime
) -> Campaign | ActRequest:
    """Create a campaign within the operator's limits; above them, request approval.

    The codes are made by `begin` and the worker. Raises NotPermitted, AlreadyDone, NoteRequired,
    CampaignExists, AlreadyRequested, and what `campaigns.start` does.
    """
    why = audit.require_note(why)
    with audit.acting(operator, PERMISSION, why=why, key=key) as act:
        if Campaign.objects.filter(pk=wanted.name).exists():
            raise CampaignExists
        # Before the limit is read, so that two forms sent at once cannot both use the rest of it.
        second_person.lock(operator)
        if needs_approval(operator, wanted, now=now):
            return act_requests.ask(operator, _request(wanted), act, why=why, now=now)
        act.moved = wanted.total
        return _start(operator, wanted, act, now)


def needs_approval(operator: Operator, wanted: WantedCodes, *, now: datetime) -> bool:
    """Return whether a second person has to approve the campaign."""
    payer = {_payer(wanted): wanted.total}
    return not second_person.may_grant_alone(operator, payer, now=now)


def pending(name: str) -> ActRequest | None:
    """Return the pending request for the campaign `name`."""
    return ActRequest.objects.filter(
        kind=act_requests.Kind.GIFT_CAMPAIGN,
        subject=_subject(name),
        status=act_requests.Status.PENDING,
    ).first()


def asked_for(request: ActRequest) -> WantedCodes:
    """Return the campaign that a request is about."""
    given = request.arguments
    return WantedCodes(**{**given, "credits": Decimal(given["credits"])})


def approved(
    operator: Operator, asked: ActRequest, act: AuditRecord, now: datetime
) -> Callable[[], object]:
    """Create an approved campaign; return the creation of its codes, for after the commit.

    Raises CampaignExists, and what `campaigns.start` does.
    """
    wanted = asked_for(asked)
    # Another campaign may have taken the name while the request was waiting.
    if Campaign.objects.filter(pk=wanted.name).exists():
        raise CampaignExists
    return partial(begin, _start(operator, wanted, act, now), now=now)


def begin(campaign: Campaign, *, now: datetime) -> None:
    """Create codes for about two seconds; the worker creates the rest."""
    # A request must end in time; a small campaign is complete when its page appears.
    until = time.monotonic() + SECONDS_IN_A_REQUEST
    for _ in campaigns.make_codes(campaign, now=now):
        if time.monotonic() > until:
            return


def take_codes(operator: Operator, name: str, *, key: UUID, now: datetime) -> Iterator[str]:
    """Record the download of a campaign's codes, and return them as lines of CSV, once.

    Raises NotPermitted, AlreadyDone, CodesNotMade, CodesTaken.
    """
    with audit.acting(
        operator, VIEW_CODES, why=Justification(), subject=_subject(name), key=key
    ) as act:
        campaign = Campaign.objects.select_for_update().get(pk=name)
        if campaign.made_at is None:
            raise CodesNotMade
        if campaign.codes_taken_at:
            raise CodesTaken(by=campaign.codes_taken_by, at=campaign.codes_taken_at)
        campaign.codes_taken_by, campaign.codes_taken_at = operator.name, now
        campaign.save(update_fields=["codes_taken_by", "codes_taken_at"])
        act.after = {"codes": campaign.count}
    # After the commit: a download that breaks off still counts as taken.
    return spreadsheets.lines(CODES, map(row_of, campaigns.codes_of(campaign).iterator()))


def row_of(gift: GiftCode) -> tuple[str, str, Decimal]:
    """Return a gift as a row of the file of codes."""
    return gift.code, code_format.link(gift.code), Decimal(plain(gift.total_credits))


def _start(operator: Operator, wanted: WantedCodes, act: AuditRecord, now: datetime) -> Campaign:
    campaign = campaigns.start(wanted.name, wanted.plan(operator, now), now=now)
    act.subject, act.user_id = _subject(wanted.name), campaign.account_id
    act.after = {"codes": wanted.codes, "credits": plain(wanted.total)}
    return campaign


def _payer(wanted: WantedCodes) -> str:
    # A campaign without a payer has no account. Its name takes the place of one, so that the limit
    # per account holds for it too.
    return wanted.account_id or f"campaign:{wanted.name}"


def _subject(name: str) -> str:
    return f"gift_campaign:{name}"


def _request(wanted: WantedCodes) -> WantedAct:
    codes, each = counted(wanted.codes, "code"), counted(wanted.credits, "credit")
    return WantedAct(
        act_requests.Kind.GIFT_CAMPAIGN,
        _subject(wanted.name),
        {**wanted._asdict(), "credits": plain(wanted.credits)},
        f"Gift campaign {wanted.name}: {codes} of {each}, {in_credits(wanted.total)} in total",
        wanted.account_id,
    )
