"""Campaigns of grants: stored, then posted row by row, once per user and name of the campaign.

Each batch of rows is one transaction with its outcomes, so a process that is killed leaves no
half-posted row, and the next run continues with the first waiting one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction

from credits.amounts import plain, positive
from credits.due_rows import SKIPPED
from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.grant_files import Grant, GrantFile, RefusedLine
from credits.ledger.posting import BalanceTooLarge, Memo, Origin
from credits.models import ActRequest, CampaignGrant, GrantCampaign

APP_ID = "campaign"
POST_JOB = "post_grant_campaigns"
BATCH = 200
USERS_PER_QUERY = 1_000
State = GrantCampaign.State
Outcome = CampaignGrant.Outcome
# Pairs, because `user_id IN … AND cause IN …` would probe the index for each combination.
_GRANTED = """
    SELECT t.user_id, t.amount
    FROM unnest(%s::text[], %s::text[]) AS wanted (user_id, cause)
    JOIN credits.transactions t ON t.user_id = wanted.user_id AND t.cause = wanted.cause
"""
LIVE = (State.PENDING, State.RUNNING, State.COMPLETED)


class Terms(NamedTuple):
    """A campaign's name, the description of its transactions, and the actor `operator:NAME`."""

    name: str
    reason: str
    actor: str


class Granted(NamedTuple):
    """The outcome of a grant; `detail` explains it."""

    grant: Grant
    outcome: CampaignGrant.Outcome
    detail: str = ""


class FileUsedBefore(DomainError):
    """The file is in another campaign, or in this one already. Details: `campaign`, `state`."""

    code = "file_used_before"
    status = 409
    message = "This file is in a campaign already"


def rehearse(terms: Terms, grants: Iterable[Grant]) -> list[Granted]:
    """Post the grants, roll them back, and return the outcomes of a real run."""
    with transaction.atomic():
        granted = give(terms, grants)
        transaction.set_rollback(True)
    return granted


@transaction.atomic
def give(terms: Terms, grants: Iterable[Grant]) -> list[Granted]:
    """Post the grants in one transaction, once per user and campaign name."""
    # Sorted by user id, the lock order of balances.
    return [_give(terms, grant) for grant in sorted(grants)]


def conflicts(name: str, file: GrantFile) -> tuple[list[RefusedLine], int]:
    """Compare the file with what the campaign `name` granted before, without locks.

    Return the lines whose user got another amount, and the number of users who got the same.
    """
    line_of = {grant.user_id: line for line, grant in file.grants.items()}
    differing, same = [], 0
    for user_id, before in _granted_before(name, line_of):
        line = line_of[user_id]
        if before == file.grants[line].amount:
            same += 1
        else:
            sentence = _differs(before, file.grants[line].amount)
            differing.append(RefusedLine(line, user_id, sentence))
    return sorted(differing), same


def find(name: str, digest: str) -> GrantCampaign | None:
    """Return the campaign `name` of the file with this digest, unless it was turned down."""
    return GrantCampaign.objects.filter(name=name, digest=digest, state__in=LIVE).first()


@transaction.atomic
def store(campaign: GrantCampaign, file: GrantFile) -> GrantCampaign:
    """Store a campaign with all lines of its file. Raises FileUsedBefore, InvalidAmount."""
    campaign.digest, campaign.count = file.digest, len(file.grants)
    campaign.total = positive(file.total)
    try:
        with transaction.atomic():
            campaign.save(force_insert=True)
    except IntegrityError as error:
        used = GrantCampaign.objects.filter(digest=file.digest, state__in=LIVE).first()
        if used is None:
            raise
        raise FileUsedBefore(campaign=used.name, state=used.state) from error
    waiting = [
        CampaignGrant(campaign=campaign, line=line, outcome=Outcome.WAITING, **grant._asdict())
        for line, grant in file.grants.items()
    ]
    left_out = [
        CampaignGrant(
            campaign=campaign,
            line=one.line,
            user_id=one.user_id,
            outcome=Outcome.LEFT_OUT,
            detail=one.sentence[:500],
        )
        for one in file.refused
    ]
    CampaignGrant.objects.bulk_create([*waiting, *left_out], batch_size=USERS_PER_QUERY)
    return campaign


def decide(asked: ActRequest) -> None:
    """Give the request's campaign the state that follows from the request's status."""
    states = {"approved": State.RUNNING, "rejected": State.REJECTED, "withdrawn": State.WITHDRAWN}
    GrantCampaign.objects.filter(request=asked).update(
        state=states[asked.status], decided_by=asked.decided_by
    )


def post(campaign: GrantCampaign, *, now: datetime) -> Iterator[list[Granted]]:
    """Post the waiting rows of a running campaign; yield the outcomes of each committed batch.

    Any number of processes may post the same campaign: one batch waits for the other's.
    """
    while granted := _post_batch(campaign, now, wait=True):
        yield granted


def outcomes(campaign: GrantCampaign) -> list[Granted]:
    """Return the outcomes of the posted rows. What was granted before this call is no new grant."""
    posted = CampaignGrant.objects.filter(campaign=campaign, amount__isnull=False)
    rows = posted.exclude(outcome__in=(Outcome.WAITING, Outcome.LEFT_OUT)).order_by("line")
    again = {Outcome.GRANTED: Outcome.BEFORE}
    known = ((row, Outcome(row.outcome)) for row in rows.iterator())
    return [
        Granted(_grant_of(row), again.get(outcome, outcome), row.detail) for row, outcome in known
    ]


def post_running(now: datetime) -> Iterator[str]:
    """Post all running campaigns; yield the outcome of each row. Skip those being posted."""
    for campaign in GrantCampaign.objects.filter(state=State.RUNNING).order_by("asked_at"):
        if _is_locked(campaign):
            yield SKIPPED
            continue
        while granted := _post_batch(campaign, now, wait=False):
            yield from (str(one.outcome.value) for one in granted)


def next_due(now: datetime) -> datetime | None:
    """Return when the oldest running campaign was asked for, or None without one."""
    running = GrantCampaign.objects.filter(state=State.RUNNING).order_by("asked_at")
    return running.values_list("asked_at", flat=True).first()


@transaction.atomic
def _post_batch(campaign: GrantCampaign, now: datetime, *, wait: bool) -> list[Granted]:
    """Post and return the next rows; without any left, complete the campaign and return none.

    Returns none, too, if the campaign is not running, or locked and `wait` is false.
    """
    running = GrantCampaign.objects.filter(pk=campaign.pk, state=State.RUNNING)
    locked = running.select_for_update(skip_locked=not wait).first()
    if locked is None:
        return []
    # The rows before the balances: an erasure locks in the same order.
    waiting = CampaignGrant.objects.filter(campaign=locked, outcome=Outcome.WAITING)
    rows = list(waiting.select_for_update().order_by("line")[:BATCH])
    if not rows:
        locked.state, locked.completed_at = State.COMPLETED, now
        locked.save()
        return []
    granted = give(_terms(locked), [_grant_of(row) for row in rows])
    _record(locked, {row.user_id: row.line for row in rows}, granted)
    return granted


@transaction.atomic
def _is_locked(campaign: GrantCampaign) -> bool:
    rows = GrantCampaign.objects.filter(pk=campaign.pk)
    return not rows.select_for_update(skip_locked=True).exists()


def _record(campaign: GrantCampaign, line_of: dict[str, int], granted: list[Granted]) -> None:
    lines = defaultdict[tuple[str, str], list[int]](list)
    for one in granted:
        lines[one.outcome, one.detail].append(line_of[one.grant.user_id])
    for (outcome, detail), of_outcome in lines.items():
        CampaignGrant.objects.filter(campaign=campaign, line__in=of_outcome).update(
            outcome=outcome, detail=detail
        )


def _terms(campaign: GrantCampaign) -> Terms:
    operator = campaign.decided_by or campaign.asked_by
    return Terms(campaign.name, campaign.reason, f"operator:{operator}")


def _grant_of(row: CampaignGrant) -> Grant:
    return Grant(row.user_id, row.amount or Decimal(0))


def _give(terms: Terms, grant: Grant) -> Granted:
    try:
        with transaction.atomic():  # a refused grant must not undo the others of its batch
            posting = ledger.grant(
                grant.user_id,
                grant.amount,
                memo=Memo(APP_ID, terms.reason, {"campaign": terms.name, "reason": terms.reason}),
                origin=Origin(terms.actor),
                cause=_cause(grant.user_id, terms.name),
            )
    except BalanceTooLarge as refusal:
        return Granted(grant, Outcome.REFUSED, refusal.text[:500])
    if not posting.replayed:
        return Granted(grant, Outcome.GRANTED)
    before = posting.transaction.amount
    if before == grant.amount:
        return Granted(grant, Outcome.BEFORE)
    return Granted(grant, Outcome.DIFFERS, _differs(before, grant.amount))


def _granted_before(name: str, users: Iterable[str]) -> Iterator[tuple[str, Decimal]]:
    names = list(users)
    for first in range(0, len(names), USERS_PER_QUERY):
        some = names[first : first + USERS_PER_QUERY]
        with connection.cursor() as cursor:
            cursor.execute(_GRANTED, [some, [_cause(user_id, name) for user_id in some]])
            yield from cursor.fetchall()


def _differs(before: Decimal, amount: Decimal) -> str:
    return f"got {plain(before)} before, not {plain(amount)}"


def _cause(user_id: str, name: str) -> str:
    return ledger.grant_cause(user_id, f"campaign:{name}")
