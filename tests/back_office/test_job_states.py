"""The dashboard names jobs in words, and says plainly what failed; the error itself is a detail."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from credits import worker
from credits.models import JobRun
from credits.payments import reconciliation
from credits.payments.findings import Finding
from credits.payments.reconciliation import DoesNotReconcile
from credits.worker import Job
from mana_credits.back_office.admin import job_states
from tests.back_office.test_titles import text

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def ran(name: str, error: str = "", **result: int) -> None:
    when: dict[str, Any] = {"failed_at": NOW} if error else {"succeeded_at": NOW}
    JobRun.objects.create(name=name, started_at=NOW, error=error, result=result, **when)


def reconciled(*findings: Finding) -> None:
    job = Job("reconcile_stripe", lambda _: reconciliation.outcomes(findings))
    with pytest.raises(DoesNotReconcile):
        worker.run(job, now=NOW)


def test_every_job_of_the_worker_has_a_name() -> None:
    assert job_states.NAMES.keys() == worker.jobs().keys()


@pytest.mark.parametrize(
    ("name", "error", "state"),
    [
        (
            "check_ledger",
            "BooksDoNotClose: 3 discrepancies",
            "Check of the books found balances that their transactions do not explain",
        ),
        (
            "reconcile_stripe",
            "DoesNotReconcile: 1 unexplained difference",
            "Comparison with Stripe found payments or credits that differ",
        ),
        (
            "reconcile_stripe",
            "PaymentUnavailable: Stripe cannot be reached",
            "Comparison with Stripe could not finish",
        ),
        (
            "expire_credits",
            "2 of 7 steps failed",
            "Expiry of credits failed for some rows, which are tried again",
        ),
        ("sum_days", "OperationalError: deadlock", "Daily sums could not finish"),
    ],
)
def test_a_failed_job_is_told_plainly(ada: Client, name: str, error: str, state: str) -> None:
    ran(name, error, unexplained=1)

    page = text(ada, "/admin/")

    assert f"{state} (2026-11-28 12:00:00). Details {name}: {error}" in page
    assert "unexplained: 1" in page


def test_a_difference_from_stripe_explains_itself_and_leads_on(ada: Client) -> None:
    purchase = uuid4()
    reconciled(
        Finding(f"purchase {purchase}", unexplained="Stripe reports €4.98, the price is €4.99."),
        Finding("refund re_1", unexplained="is not at Stripe"),
    )

    page = ada.get("/admin/").content.decode()

    assert f'<a href="/admin/purchase/{purchase}/">purchase {purchase}</a>: Stripe reports' in page
    assert '<a href="/admin/search-accounts/?q=re_1">refund re_1</a>: is not at Stripe' in page
    assert "Details" not in page


def test_each_of_many_differences_is_shown_whole(ada: Client) -> None:
    reconciled(*(Finding(f"refund re_{n}", unexplained="is not at Stripe") for n in range(90)))

    assert ada.get("/admin/").content.decode().count("</a>: is not at Stripe") == 90


def test_jobs_that_went_well_are_not_listed_except_the_checks(ada: Client) -> None:
    ran("check_ledger", batches=2)
    ran("sum_days", done=2)

    page = text(ada, "/admin/")

    assert "Check of the books 2026-11-28 12:00:00 went well batches: 2" in page
    assert "Comparison with Stripe never not run yet" in page
    assert "Daily sums" not in page
    assert "check_ledger" not in page
    assert "Details" not in page
