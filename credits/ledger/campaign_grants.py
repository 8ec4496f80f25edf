"""Campaigns of grants: stored, then posted row by row, once per user and name of the campaign.

Each row is posted with its outcome in a transaction of its own. So a process that is killed leaves
no half-posted row, the next run continues with the first waiting one, and a locked balance delays
only its own row.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from credits import due_rows
from credits.amounts import plain, positive
from credits.due_rows import DueWork, Settled
from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.credit_lots import InvalidCreditExpiry
from credits.ledger.grant_files import Grant, GrantFile, RefusedLine
from credits.ledger.outcomes import BalanceTooLarge
from credits.ledger.posting import Memo, Origin
from credits.models import ActRequest, CampaignGrant, GrantCampaign

APP_ID = "campaign"
POST_JOB = "post_grant_campaigns"
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


class CampaignTerms(NamedTuple):
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


def rehearse(terms: CampaignTerms, grant: Grant) -> Granted:
    """Post the grant, roll it back, and return the outcome of a real run."""
    with transaction.atomic():
        granted = _give(terms, grant)
        transaction.set_rollback(True)
    return granted


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
    """Return the campaign `name` of the file with this digest, unless it was rejected."""
    return GrantCampaign.objects.filter(name=name, digest=digest, state__in=LIVE).first()


@transaction.atomic
def store(campaign: GrantCampaign, file: GrantFile) -> GrantCampaign:
    """Store a campaign with all lines of its file. Raises FileUsedBefore, InvalidAmount."""
    campaign.digest, campaign.count = file.digest, len(file.grants)
    campaign.total = positive(file.total)
    try:
        # A savepoint: after a violated constraint, the campaign with the same file must still be
        # read.
        with transaction.atomic():
            campaign.save(force_insert=True)
    except IntegrityError as error:
        used = GrantCampaign.objects.filter(digest=file.digest, state__in=LIVE).first()
        # Another constraint than that of the file's digest was violated.
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


def post(campaign: GrantCampaign, *, now: datetime) -> Iterator[Settled]:
    """Post the waiting rows of a running campaign; yield each outcome after its commit.

    Any number of processes may post the same campaign. Rows whose balance stays locked are skipped
    and wait for the next run.
    """
    # The approval that started the campaign may be newer than the caller's copy.
    campaign.refresh_from_db()
    work = DueWork(POST_JOB, _waiting(campaign), "line", partial(_settle, _terms(campaign)))
    yield from due_rows.settle_each(work, now=now, limit=campaign.count)
    _complete(campaign, now)


def outcomes(campaign: GrantCampaign) -> Iterator[Granted]:
    """Yield the outcomes of the posted rows. A grant of an earlier run counts as granted before."""
    posted = CampaignGrant.objects.filter(campaign=campaign, amount__isnull=False)
    for row in posted.exclude(outcome__in=(Outcome.WAITING, Outcome.LEFT_OUT)).order_by("line"):
        granted = _granted(row)
        is_old = granted.outcome == Outcome.GRANTED
        yield granted._replace(outcome=Outcome.BEFORE) if is_old else granted


def outcome_of(settled: Settled) -> Granted:
    """Return the stored outcome of a row that `post` yielded; a skipped row is still waiting."""
    return _granted(CampaignGrant.objects.get(pk=settled.key))


def post_running(now: datetime) -> Iterator[str]:
    """Post all running campaigns, the oldest first; yield the outcome of each row."""
    for campaign in GrantCampaign.objects.filter(state=State.RUNNING).order_by("asked_at"):
        yield from (settled.outcome for settled in post(campaign, now=now))


def next_due(now: datetime) -> datetime | None:
    """Return when the oldest running campaign was asked for, or None without one."""
    running = GrantCampaign.objects.filter(state=State.RUNNING).order_by("asked_at")
    return running.values_list("asked_at", flat=True).first()


def _waiting(campaign: GrantCampaign) -> QuerySet[CampaignGrant]:
    # A subquery, so that locking a row does not lock the campaign, too.
    running = GrantCampaign.objects.filter(pk=campaign.pk, state=State.RUNNING)
    return CampaignGrant.objects.filter(campaign__in=running, outcome=Outcome.WAITING)


def _settle(terms: CampaignTerms, row: CampaignGrant) -> str:
    granted = _give(terms, _grant_of(row))
    CampaignGrant.objects.filter(pk=row.pk).update(outcome=granted.outcome, detail=granted.detail)
    return granted.outcome.value


def _complete(campaign: GrantCampaign, now: datetime) -> None:
    """Complete the campaign if no row waits. Of several processes, the last one does it."""
    left = CampaignGrant.objects.filter(campaign=OuterRef("pk"), outcome=Outcome.WAITING)
    running = GrantCampaign.objects.filter(~Exists(left), pk=campaign.pk, state=State.RUNNING)
    running.update(state=State.COMPLETED, completed_at=now)


def _terms(campaign: GrantCampaign) -> CampaignTerms:
    # The person who decides is the actor, as in every act that needs a second person.
    operator = campaign.decided_by or campaign.asked_by
    return CampaignTerms(campaign.name, campaign.reason, f"operator:{operator}")


def _grant_of(row: CampaignGrant) -> Grant:
    return Grant(row.user_id, row.amount or Decimal(0), row.expires_at)


def _granted(row: CampaignGrant) -> Granted:
    return Granted(_grant_of(row), Outcome(row.outcome), row.detail)


def _give(terms: CampaignTerms, grant: Grant) -> Granted:
    try:
        posting = ledger.grant(
            grant.user_id,
            grant.amount,
            memo=Memo(APP_ID, terms.reason, {"campaign": terms.name, "reason": terms.reason}),
            origin=Origin(terms.actor),
            cause=_cause(grant.user_id, terms.name),
            expires_at=grant.expires_at,
        )
    except (BalanceTooLarge, InvalidCreditExpiry) as refusal:
        # Nothing was moved, and the database transaction is intact.
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
