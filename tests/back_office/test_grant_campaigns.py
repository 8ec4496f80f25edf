"""Grants to many users by a file: preview, refused lines, second person, progress, result."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from credits import worker
from credits.ledger import campaign_grants, grant_files, ledger
from credits.ledger.campaign_grants import FileUsedBefore
from credits.models import ActRequest, Balance, CampaignGrant, CreditLot, GrantCampaign, Transaction
from mana_credits.back_office.acts import act_requests, approvals, grant_requests
from mana_credits.back_office.acts.act_requests import NotYourRequest, RequestDecided
from mana_credits.back_office.acts.audit import NotPermitted
from mana_credits.back_office.acts.grant_requests import (
    LinesRefused,
    NothingToGrant,
    WantedGrants,
)
from mana_credits.back_office.acts.second_person import CannotDecideOwnRequest, NotIndependent
from mana_credits.privacy import erasure, export
from tests.api import at_once
from tests.back_office.operators import WHY, acts, operator
from tests.back_office.test_second_person import adjust, managed
from tests.factories import give
from tests.importing import available
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

SMALL = "user_id,credits\nbob,5\nalice,2.5\n"
LARGE = "user_id,credits\nbob,700\nalice,800\n"
WRONG = "user_id,credits\nbob,5\nalice,1.000\n carol,1\ndora,1\ndora,2\nerik,1,2\n"


def now() -> datetime:
    return datetime.now(UTC)


def ask(
    name: str = "sam", text: str = SMALL, campaign: str = "winter", **more: Any
) -> GrantCampaign:
    file = grant_files.parse(text.encode(), "the file")
    wanted = WantedGrants(campaign, "Thank you", file, **more)
    return grant_requests.ask(operator(name), wanted, why=WHY, key=uuid4(), now=now())


def decide(name: str, campaign: GrantCampaign) -> ActRequest:
    assert campaign.request_id
    return approvals.approve(operator(name), campaign.request_id, note="", key=uuid4(), now=now())


def users(count: int, amount: str = "1") -> str:
    return "user_id,credits\n" + "".join(f"u-{n},{amount}\n" for n in range(count))


def post(campaign: GrantCampaign) -> None:
    list(campaign_grants.post(campaign, now=now()))


def test_a_small_file_is_granted_at_once_and_is_on_record() -> None:
    campaign = ask()
    post(campaign)

    assert available() == {"alice": 2.5, "bob": 5}
    campaign.refresh_from_db()
    assert (campaign.state, campaign.request_id, campaign.asked_by) == ("completed", None, "sam")
    record = acts().get()
    assert (record.action, record.moved, record.note) == (
        "credits.grant_to_many",
        Decimal("7.5"),
        WHY.note,
    )
    assert record.subject == f"grant_campaign:{campaign.pk}"
    assert (record.after["users"], record.after["credits"]) == (2, "7.5")
    entry = Transaction.objects.get(user_id="bob")
    assert (entry.actor, entry.description) == ("operator:sam", "Thank you")


def test_a_large_file_waits_for_a_colleague() -> None:
    campaign = ask(text=LARGE)
    post(campaign)
    list(campaign_grants.post_running(now=now()))
    assert (campaign.state, available()) == ("pending", {})

    own = ask("ada", LARGE, "own", again=True)
    with pytest.raises(CannotDecideOwnRequest):
        decide("ada", own)
    decide("ada", campaign)

    assert available() == {"alice": 800, "bob": 700}
    campaign.refresh_from_db()
    assert (campaign.state, campaign.decided_by) == ("completed", "ada")
    assert {one.actor for one in Transaction.objects.all()} == {"operator:ada"}
    record = acts().get(operator="ada", action="credits.approve_adjustment")
    assert record.after["asked_by"] == "sam"
    assert record.moved is None


def how() -> dict[str, Any]:
    return {"note": "No", "key": uuid4(), "now": now()}


def test_one_account_above_its_limit_is_enough_to_wait() -> None:
    assert ask(text="user_id,credits\nbob,101\n").state == "pending"
    assert ask(text="user_id,credits\nbob,100\n").state == "running"


def test_grants_and_adjustments_share_the_limits_of_an_account_and_of_the_day(
    settings: Any,
) -> None:
    give("bob", 1)
    adjust("sam", 60, "bob")

    assert ask(text="user_id,credits\nbob,41\n").state == "pending"
    assert ask(text="user_id,credits\nbob,40\n").state == "running"
    assert type(adjust("sam", 1, "bob")).__name__ == "AdjustmentRequest"
    assert type(adjust("fiona", 1, "bob")).__name__ == "Posting"
    settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(105)
    assert ask(text="user_id,credits\nnew,6\n").state == "pending"
    assert ask(text="user_id,credits\nnew,5\n").state == "running"


@pytest.mark.usefixtures("committed")
def test_files_at_once_do_not_share_one_limit() -> None:
    operator("sam")

    states = at_once(4, lambda n: ask(text=users(1, f"{60 + n}"), campaign=f"c{n}").state)

    assert sorted(states) == ["pending", "pending", "pending", "running"]


@pytest.mark.usefixtures("committed")
def test_two_approvers_at_once_grant_once() -> None:
    campaign = ask(text=LARGE)
    for name in ("ada", "fiona"):
        operator(name)

    def approve(n: int) -> str:
        try:
            return decide(("ada", "fiona")[n], campaign).status
        except RequestDecided as late:
            return late.code

    assert sorted(at_once(2, approve)) == ["approved", "request_decided"]
    assert available() == {"alice": 800, "bob": 700}


@pytest.mark.usefixtures("committed")
def test_workers_at_once_grant_once() -> None:
    campaign = ask(text=users(20))

    outcomes = at_once(3, lambda n: Counter(campaign_grants.post_running(now=now())))
    left = Counter(settled.outcome for settled in campaign_grants.post(campaign, now=now()))

    assert sum((*outcomes, left), Counter())["granted"] == 20
    assert Transaction.objects.count() == 20
    campaign.refresh_from_db()
    assert campaign.state == "completed"


@pytest.mark.usefixtures("committed")
def test_a_locked_balance_delays_only_its_own_grant() -> None:
    give("u-1", 1)
    campaign = ask(text=users(4))

    with transaction.atomic():
        with as_owner():
            Balance.objects.select_for_update().get(pk="u-1")
        (outcomes,) = at_once(1, lambda _: list(campaign_grants.post_running(now=now())))
    waiting = campaign.grants.get(outcome="waiting").user_id
    campaign.refresh_from_db()
    state = campaign.state

    assert outcomes == ["granted", "granted", "granted", "skipped"]
    assert (waiting, state) == ("u-1", "running")
    assert list(campaign_grants.post_running(now=now())) == ["granted"]
    campaign.refresh_from_db()
    assert (campaign.state, available()["u-1"]) == ("completed", 2)


@pytest.mark.usefixtures("committed")
def test_a_killed_worker_goes_on_where_it_stopped() -> None:
    campaign = ask(text=users(10))
    grant, calls = ledger.grant, []

    def killed_at_the_seventh(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return grant(*given, **more)

    with (
        patch("credits.ledger.ledger.grant", killed_at_the_seventh),
        pytest.raises(KeyboardInterrupt),
    ):
        worker.run(worker.jobs()["post_grant_campaigns"], now=now())
    posted = Transaction.objects.count()
    granted = CampaignGrant.objects.filter(outcome="granted").count()
    outcomes = worker.run(worker.jobs()["post_grant_campaigns"], now=now())

    assert posted == granted == 6
    assert outcomes == {"granted": 4}
    assert {float(amount) for amount in available().values()} == {1.0}
    assert len(available()) == 10
    campaign.refresh_from_db()
    assert campaign.state == "completed"


def test_an_approval_posts_for_a_moment_and_the_worker_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grant_requests, "SECONDS_IN_A_REQUEST", -1)
    campaign = ask(text=users(5, "300"))

    decide("ada", campaign)
    assert Transaction.objects.count() == 1
    assert campaign_grants.next_due(now()) == campaign.asked_at
    outcomes = worker.run(worker.jobs()["post_grant_campaigns"], now=now())

    assert outcomes == {"granted": 4}
    assert campaign_grants.next_due(now()) is None


def test_the_same_file_twice_is_refused_unless_meant() -> None:
    ask()
    reordered = "user_id,credits\r\nalice,2.5000\r\nbob,5\r\n"

    for campaign in ("winter", "summer"):
        with pytest.raises(FileUsedBefore):
            ask(text=reordered, campaign=campaign)
    with pytest.raises(FileUsedBefore):
        ask(text=reordered, campaign="winter", again=True)

    assert ask(text=reordered, campaign="summer", again=True).state == "running"
    assert GrantCampaign.objects.count() == 2


def test_another_rule_that_a_campaign_breaks_is_no_used_file() -> None:
    file = grant_files.parse(SMALL.encode(), "the file")
    campaign = GrantCampaign(id=uuid4(), name="x", state="odd", asked_by="sam", asked_at=now())

    with pytest.raises(IntegrityError, match="is_decided_by_a_second_person"):
        campaign_grants.store(campaign, file)


@pytest.mark.usefixtures("committed")
def test_the_same_file_twice_at_once_is_one_campaign() -> None:
    operator("sam")
    operator("fiona")

    def send(n: int) -> str:
        try:
            return ask(("sam", "fiona")[n % 2], campaign=f"c{n % 2}").state
        except FileUsedBefore as used:
            return used.code

    assert Counter(at_once(4, send)) == {"running": 1, "file_used_before": 3}


def test_a_user_gets_a_campaign_once_whatever_the_file() -> None:
    post(ask())
    campaign = ask(text="user_id,credits\nbob,5\nalice,3\ncarol,1\n")
    post(campaign)

    rows = CampaignGrant.objects.filter(campaign=campaign).order_by("line")
    assert list(rows.values_list("outcome", "detail")) == [
        ("granted_before", ""),
        ("had_another_amount", "got 2.5 before, not 3"),
        ("granted", ""),
    ]
    assert available() == {"alice": 2.5, "bob": 5, "carol": 1}


def test_a_grant_that_the_ledger_refuses_does_not_stop_the_others() -> None:
    give("bob", 99_999_999_999)
    campaign = ask()
    post(campaign)

    row = CampaignGrant.objects.get(user_id="bob")
    assert (row.outcome, row.detail) == ("refused", "The balance would become too large")
    assert available()["alice"] == 2.5
    campaign.refresh_from_db()
    assert campaign.state == "completed"


def test_a_file_with_wrong_lines_stores_nothing_unless_they_are_left_out() -> None:
    with pytest.raises(LinesRefused):
        ask(text=WRONG)
    assert not GrantCampaign.objects.exists()
    assert not acts().exists()

    campaign = ask(text=WRONG, leave_out=True)
    post(campaign)

    assert available() == {"bob": 5}
    rows = CampaignGrant.objects.filter(campaign=campaign, outcome="left_out").order_by("line")
    assert list(rows.values_list("line", "user_id", "amount")) == [
        (3, "alice", None),
        (4, "", None),
        (5, "dora", None),
        (6, "dora", None),
        (7, "", None),
    ]
    assert campaign.count == 1


def test_a_file_without_any_right_line_is_refused() -> None:
    with pytest.raises(NothingToGrant):
        ask(text="user_id,credits\nbob,x\n", leave_out=True)
    with pytest.raises(NothingToGrant):
        ask(text="user_id,credits\n")


def test_the_asker_withdraws_and_nobody_else() -> None:
    campaign = ask(text=LARGE)
    assert campaign.request_id
    with pytest.raises(NotYourRequest):
        act_requests.withdraw(
            ActRequest, operator("ada"), campaign.request_id, key=uuid4(), now=now()
        )

    act_requests.withdraw(ActRequest, operator("sam"), campaign.request_id, key=uuid4(), now=now())

    campaign.refresh_from_db()
    assert (campaign.state, campaign.decided_by) == ("withdrawn", "sam")
    with pytest.raises(RequestDecided):
        decide("ada", campaign)
    assert ask(text=LARGE).state == "pending"  # the file is free again


def test_a_rejected_campaign_grants_nothing() -> None:
    campaign = ask(text=LARGE)
    assert campaign.request_id
    approvals.reject(ActRequest, operator("ada"), campaign.request_id, **how())
    post(campaign)

    campaign.refresh_from_db()
    assert (campaign.state, campaign.decided_by, available()) == ("rejected", "ada", {})


def test_who_managed_the_askers_account_does_not_decide() -> None:
    campaign = ask(text=LARGE)
    managed("ada", "sam", "password")

    with pytest.raises(NotIndependent):
        decide("ada", campaign)


@pytest.mark.parametrize("name", ["amir", "sam"])
def test_auditors_and_support_do_not_approve(name: str) -> None:
    campaign = ask("fiona", LARGE)

    with pytest.raises(NotPermitted):
        decide(name, campaign)


def test_an_auditor_asks_for_nothing() -> None:
    with pytest.raises(NotPermitted):
        ask("amir")


def test_no_row_of_the_database_is_running_without_a_second_person() -> None:
    campaign = ask(text=LARGE)

    for change in (
        {"state": "running"},
        {"state": "running", "decided_by": "sam"},
        {"state": "completed", "completed_at": now(), "decided_by": "sam"},
        {"state": "running", "decided_by": "ada", "request": None},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            GrantCampaign.objects.filter(pk=campaign.pk).update(**change)


def test_erasure_takes_a_waiting_grant_and_the_export_has_it() -> None:
    campaign = ask(text=LARGE)
    give("bob", 1)

    exported = "".join(export.document("bob", now=now()))
    erasure.erase("bob")
    decide("ada", campaign)

    assert '"campaign__name":"winter"' in exported.replace(": ", ":")
    row = CampaignGrant.objects.get(line=2)
    assert (row.outcome, row.detail) == ("left_out", "")
    assert row.user_id != "bob"
    assert available()["alice"] == 800
    assert not Transaction.objects.filter(amount=700).exists()


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("round_", range(4))
def test_an_erasure_at_once_leaves_no_grant_to_the_erased(round_: int) -> None:
    campaign = ask(text=users(20))
    erased = f"u-{5 * round_ + 2}"

    at_once(2, lambda n: erasure.erase(erased) if n else post(campaign))
    post(campaign)

    assert not Balance.objects.filter(pk=erased).exists()
    assert not CampaignGrant.objects.filter(user_id=erased).exists()
    outcomes = Counter(CampaignGrant.objects.values_list("outcome", flat=True))
    assert outcomes["granted"] == Transaction.objects.count() >= 19
    campaign.refresh_from_db()
    assert campaign.state == "completed"


def test_a_third_column_says_when_credits_expire() -> None:
    year = now().year + 1
    text = (
        "user_id,credits,expires_at\n"
        f"alice,5,{year}-01-31\n"
        f"bob,6,{year}-01-31T12:00:00+02:00\n"
        "carol,7,\n"
    )

    post(ask(text=text))

    assert available() == {"alice": 5, "bob": 6, "carol": 7}
    lots = {lot.user_id: lot.expires_at for lot in CreditLot.objects.all()}
    assert lots == {
        "alice": datetime(year, 1, 31, tzinfo=UTC),
        "bob": datetime(year, 1, 31, 10, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    "cell", ["soon", "31.01.2099", "20990131", "2020-01-01", "2099-01-01", "2027-02-30"]
)
def test_a_date_that_is_none_over_or_too_far_is_refused_with_its_line(cell: str) -> None:
    file = grant_files.parse(
        f"user_id,expires_at,credits\nalice,{cell},5\nbob,,5\n".encode(), "the file"
    )

    assert [(one.line, one.user_id) for one in file.refused] == [(2, "alice")]
    assert file.refused[0].sentence.startswith("expires_at is not ")
    assert file.refused[0].sentence.endswith(f": {cell}")
    assert list(file.grants) == [3]


def test_another_expiry_is_another_file() -> None:
    plain, never, dated = (
        grant_files.parse(text.encode(), "the file").digest
        for text in (
            "user_id,credits\nalice,5\n",
            "user_id,credits,expires_at\nalice,5,\n",
            f"user_id,credits,expires_at\nalice,5,{now().year + 1}-01-31\n",
        )
    )

    assert plain == never != dated


def test_credits_that_expire_before_the_campaign_is_posted_are_refused() -> None:
    soon = (now() + timedelta(milliseconds=300)).isoformat()
    campaign = ask(text=f"user_id,credits,expires_at\nalice,5,{soon}\nbob,5,\n")
    while now().isoformat() <= soon:
        pass

    post(campaign)

    rows = campaign.grants.order_by("line").values_list("user_id", "outcome")
    assert list(rows) == [("alice", "refused"), ("bob", "granted")]
    assert available() == {"bob": 5}
