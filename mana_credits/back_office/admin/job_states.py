"""Names of the worker's jobs and of their states, in words for operators."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.urls import reverse

from mana_credits.back_office.admin.dashboard_figures import JobResult

NAMES = {
    "check_ledger": "Check of the books",
    "reconcile_stripe": "Comparison with Stripe",
    "clean_up_events": "Deletion of old events to services",
    "clean_up_keys": "Deletion of old idempotency keys",
    "clean_up_outbox": "Deletion of delivered messages",
    "deliver_events": "Delivery of events to services",
    "deliver_outbox": "Delivery of messages",
    "empty_event_payloads": "Deletion of old Stripe payloads",
    "erase_people": "Erasure of people",
    "expire_credits": "Expiry of credits",
    "expire_gifts": "Expiry of gifts",
    "expire_reservations": "Expiry of reservations",
    "make_anchors": "Anchors of the ledger",
    "make_gift_codes": "Creation of gift codes",
    "post_grant_campaigns": "Grants to many users",
    "process_stripe_events": "Processing of Stripe events",
    "renew_subscriptions": "Renewal of Cloud Sync",
    "sum_days": "Daily sums",
    "tell_expiring_credits": "Notices of expiring credits",
    "tell_low_balances": "Notices of low balances",
    "top_up": "Automatic top-ups",
}
# The dashboard shows these jobs also after a success, and before their first run.
CHECKS = ("check_ledger", "reconcile_stripe")

COULD_NOT_FINISH = "could not finish"
# The meaning of the checks' errors, by the name of the exception.
FINDINGS = {
    "BooksDoNotClose": "found balances that their transactions do not explain",
    "DoesNotReconcile": "found payments or credits that differ",
}


class Difference(NamedTuple):
    """A difference that a check has found: the object's name, its page, and a sentence."""

    name: str
    address: str
    sentence: str


class JobState(NamedTuple):
    """A job's last run: `state` in words, its `tone`, the recorded error, and the differences."""

    job: str
    name: str
    started_at: datetime | None
    state: str
    tone: str
    counts: Mapping[str, int]
    error: str = ""
    differences: Sequence[Difference] = ()


def shown(results: Mapping[str, JobResult]) -> list[JobState]:
    """Return the states of both checks, and of every other job whose last run failed."""
    failed = [name for name, job in results.items() if not job.went_well]
    names = [*CHECKS, *sorted(name for name in failed if name not in CHECKS)]
    return [_state(name, results.get(name)) for name in names]


def failed(states: Iterable[JobState]) -> list[JobState]:
    """Return the jobs whose last run failed."""
    return [one for one in states if one.error]


def _state(job: str, last: JobResult | None) -> JobState:
    name = NAMES.get(job, job)
    if last is None or last.started_at is None:
        return JobState(job, name, None, "not run yet", "warn", {})
    if last.went_well:
        return JobState(job, name, last.started_at, "went well", "good", last.result)
    return JobState(
        job,
        name,
        last.started_at,
        _failure(last.error),
        "bad",
        last.result,
        last.error,
        [_difference(*one) for one in last.differences],
    )


def _difference(name: str, sentence: str) -> Difference:
    kind, _, identifier = name.rpartition(" ")
    if kind == "purchase":
        return Difference(name, reverse("admin:purchase", args=[identifier]), sentence)
    found = reverse("admin:search_accounts", query={"q": identifier})
    return Difference(name, found, sentence)


def _failure(error: str) -> str:
    cause = error.partition(":")[0]
    # The job has gone through all rows, and its next run tries the failed ones again.
    if error.endswith("steps failed"):
        return "failed for some rows, which are tried again"
    return FINDINGS.get(cause, COULD_NOT_FINISH)
