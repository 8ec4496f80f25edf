"""Campaigns of gift codes in the browser: second person, codes once, and the command."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from credits import worker
from credits.ledger import ledger
from credits.models import ActRequest, PostponedRow, StaffAction, Transaction
from gifts import campaigns
from gifts.models import Campaign, GiftCode
from mana_credits.back_office.acts import act_requests, approvals, gift_campaigns
from mana_credits.back_office.acts.act_requests import AlreadyRequested, RequestDecided
from mana_credits.back_office.acts.audit import NotPermitted
from mana_credits.back_office.acts.gift_campaigns import (
    CampaignExists,
    CodesNotMade,
    CodesTaken,
    WantedCodes,
)
from mana_credits.back_office.acts.second_person import CannotDecideOwnRequest
from mana_credits.privacy import erasure
from tests.api import at_once
from tests.back_office.operators import WHY, acts, form, operator
from tests.factories import give, spend

pytestmark = pytest.mark.django_db

NEW = "/admin/new-gift-campaign/"
SMALL = WantedCodes("spring", 5, Decimal(20), 30, reason="Spring fair")
LARGE = WantedCodes("spring", 50, Decimal(20), 30, reason="Spring fair")


def now() -> datetime:
    return datetime.now(UTC)


def ask(name: str = "sam", wanted: WantedCodes = SMALL) -> Campaign | ActRequest:
    return gift_campaigns.ask(operator(name), wanted, why=WHY, key=uuid4(), now=now())


def approve(name: str, asked: ActRequest) -> ActRequest:
    return approvals.approve(operator(name), asked.pk, note="", key=uuid4(), now=now())


def take(name: str) -> list[dict[str, str]]:
    text = "".join(gift_campaigns.take_codes(operator(name), "spring", key=uuid4(), now=now()))
    return list(csv.DictReader(StringIO(text.removeprefix("\ufeff"))))


def make() -> None:
    worker.run(worker.jobs()["make_gift_codes"], now=now())


def fields(**changed: Any) -> dict[str, Any]:
    usual = {"name": "spring", "count": "5", "credits": "20", "days": "30", "reason": "Fair"}
    return form(**{**usual, **changed})


def test_a_small_campaign_is_created_at_once() -> None:
    campaign = ask()
    make()

    assert isinstance(campaign, Campaign)
    assert GiftCode.objects.filter(campaign=campaign).count() == 5
    record = acts().get()
    assert (record.action, record.moved, record.user_id) == (
        "gifts.create_campaign",
        100,
        "campaign:spring",
    )
    assert campaigns.next_due(now()) is None


def test_a_large_campaign_waits_for_a_colleague() -> None:
    asked = ask(wanted=LARGE)
    assert isinstance(asked, ActRequest)
    assert not Campaign.objects.exists()
    own = ask("ada", LARGE._replace(name="own"))
    assert isinstance(own, ActRequest)
    with pytest.raises(CannotDecideOwnRequest):
        approve("ada", own)

    approve("ada", asked)

    assert GiftCode.objects.filter(campaign="spring").count() == 50
    assert Transaction.objects.get(type="grant").actor == "operator:ada"
    assert acts().filter(moved__isnull=False).count() == 0


def test_codes_paid_by_an_account_count_as_its_credits() -> None:
    give("marketing", 1000)
    paid = SMALL._replace(account_id="marketing", reason=None)

    assert isinstance(ask(wanted=paid), Campaign)
    second = ask(wanted=paid._replace(name="summer", codes=1))
    assert isinstance(second, ActRequest)

    assert second.user_id == "marketing"


@pytest.mark.usefixtures("committed")
def test_two_approvers_at_once_create_one_set() -> None:
    asked = ask(wanted=LARGE)
    assert isinstance(asked, ActRequest)
    for name in ("ada", "fiona"):
        operator(name)

    def decide(n: int) -> str:
        try:
            return approve(("ada", "fiona")[n], asked).status
        except RequestDecided as late:
            return late.code

    assert sorted(at_once(2, decide)) == ["approved", "request_decided"]
    assert GiftCode.objects.count() == 50
    assert Transaction.objects.filter(type="grant").count() == 1


def test_a_name_is_asked_for_once_and_used_once() -> None:
    ask(wanted=LARGE)
    with pytest.raises(AlreadyRequested):
        ask("fiona", LARGE)
    ask(wanted=SMALL)

    with pytest.raises(CampaignExists):
        ask("fiona")
    with pytest.raises(CampaignExists):
        approve("ada", ActRequest.objects.get())


def test_the_worker_goes_on_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns, "BATCH", 2)
    monkeypatch.setattr(campaigns, "BATCHES_PER_RUN", 1)
    ask()

    counts = []
    for _ in range(4):
        make()
        counts.append(GiftCode.objects.count())

    assert counts == [2, 4, 5, 5]


def test_an_approval_creates_codes_for_a_moment_and_the_worker_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(campaigns, "BATCH", 20)
    monkeypatch.setattr(gift_campaigns, "SECONDS_IN_A_REQUEST", -1)
    asked = ask(wanted=LARGE)
    assert isinstance(asked, ActRequest)

    approve("ada", asked)
    begun = GiftCode.objects.count()
    make()

    assert (begun, GiftCode.objects.count()) == (20, 50)


def test_a_campaign_whose_account_is_spent_meanwhile_is_postponed_and_told() -> None:
    give("marketing", 100)
    ask(wanted=SMALL._replace(account_id="marketing", reason=None))
    spend("marketing", 50)

    make()

    failed = PostponedRow.objects.get(job="make_gift_codes")
    assert (failed.user_id, failed.row_id) == ("marketing", "spring")
    assert "Insufficient" in failed.error
    assert not GiftCode.objects.exists()


def test_codes_are_downloaded_once_by_whom_may_see_codes() -> None:
    ask()
    with pytest.raises(CodesNotMade):
        take("ada")
    make()
    with pytest.raises(NotPermitted):
        take("sam")

    rows = take("fiona")
    with pytest.raises(CodesTaken):
        take("ada")

    assert {row["code"] for row in rows} == set(GiftCode.objects.values_list("code", flat=True))
    assert {row["credits"] for row in rows} == {"20"}
    record = acts().get(action="gifts.view_codes")
    assert (record.operator, record.subject) == ("fiona", "gift_campaign:spring")
    assert Campaign.objects.get().codes_taken_by == "fiona"


@pytest.mark.usefixtures("committed")
def test_two_downloads_at_once_are_one() -> None:
    ask()
    make()
    for name in ("ada", "fiona"):
        operator(name)

    def download(n: int) -> int:
        try:
            return len(take(("ada", "fiona")[n]))
        except CodesTaken:
            return 0

    assert sorted(at_once(2, download)) == [0, 5]


def test_the_asker_withdraws() -> None:
    asked = ask(wanted=LARGE)
    act_requests.withdraw(ActRequest, operator("sam"), asked.pk, key=uuid4(), now=now())  # type: ignore[arg-type]

    with pytest.raises(RequestDecided):
        approve("ada", asked)  # type: ignore[arg-type]
    assert not Campaign.objects.exists()


def test_the_payers_erasure_empties_the_request() -> None:
    give("marketing", 1000)
    wanted = LARGE._replace(account_id="marketing", reason=None, message="From Mia")
    asked = ask(wanted=wanted)
    assert isinstance(asked, ActRequest)
    approvals.reject(ActRequest, operator("ada"), asked.pk, note="No", key=uuid4(), now=now())

    erasure.erase("marketing")

    asked.refresh_from_db()
    assert (asked.arguments, asked.note) == ({}, "")
    assert asked.user_id != "marketing"


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("round_", range(4))
def test_an_erasure_of_the_payer_and_the_creation_of_codes_do_not_wait_for_each_other(
    round_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "BATCH", 1)
    give("marketing", 100)
    campaign = ask(wanted=SMALL._replace(account_id="marketing", reason=None))
    assert isinstance(campaign, Campaign)

    def create() -> None:
        list(campaigns.make_codes(campaign, now=now()))

    at_once(2, lambda n: erasure.erase("marketing") if n else create())

    made = GiftCode.objects.count()
    make()
    assert GiftCode.objects.count() == made
    assert Campaign.objects.get().account_id != "marketing"
    assert not GiftCode.objects.filter(creator_id="marketing").exists()


# --- the command


def command(folder: Path, name: str = "sam", **changed: Any) -> str:
    out = StringIO()
    values = {"campaign": "spring", "count": 50, "credits": Decimal(20), "reason": "Spring fair"}
    path = folder / "codes.csv"
    call_command("create_gift_codes", operator=name, csv=path, stdout=out, **{**values, **changed})
    return out.getvalue()


def test_the_command_asks_above_the_limit_and_writes_after_the_approval(tmp_path: Path) -> None:
    operator("sam")

    outs = [command(tmp_path) for _ in range(2)]
    assert all("waits for a colleague's approval" in out for out in outs)
    assert not (tmp_path / "codes.csv").exists()
    with patch("mana_credits.back_office.acts.gift_campaigns.begin"):  # the worker is away
        approve("ada", ActRequest.objects.get())

    assert "50 codes of 20 credits" in command(tmp_path)
    assert GiftCode.objects.count() == 50
    assert ledger.balance_of("campaign:spring").posted == 0


# --- pages


def test_from_the_form_to_the_codes_with_a_second_person(sam: Client, ada: Client) -> None:
    wanted = fields(count="50", message="Hello", creator_name="Mana")
    preview = sam.post(NEW, {**wanted, "confirmed": ""}).content.decode()
    assert "1,000 credits" in preview
    assert "A colleague has to approve it" in preview
    assert not ActRequest.objects.exists()
    assert sam.post(NEW, wanted).status_code == 302
    asked = ActRequest.objects.get()
    decision = reverse("admin:decide_act", args=(asked.pk,))
    shown = ada.get(decision).content.decode()
    assert "Hello" in shown
    assert "50 codes of 20 credits" in shown

    ada.post(decision, form(approve="1"))
    page = ada.get("/admin/campaign/spring/").content.decode()
    codes = "/admin/campaign-codes/spring/"
    assert codes in page
    assert codes not in sam.get("/admin/campaign/spring/").content.decode()
    answer = ada.post(codes, form())
    again = ada.post(codes, form())

    lines = b"".join(answer).decode().splitlines()
    assert lines[0] == '\ufeff"code","url","credits"'
    assert len(lines) == 51
    assert "were downloaded before" in again.content.decode()
    assert "Downloaded by ada" in again.content.decode()
    assert StaffAction.objects.filter(action="gifts.view_codes").count() == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"count": "0"}, "greater than or equal to 1"),
        ({"credits": "0.5"}, "greater than or equal to 1"),
        ({"credits": "1.00001"}, "4 decimal places"),
        ({"days": "366"}, "less than or equal to 365"),
        ({"reason": ""}, "either an account that pays, or a reason"),
        ({"account_id": "x"}, "either an account that pays, or a reason"),
        ({"creator_name": "a@b.test"}, "not an e-mail address"),
        ({"name": "a\u200b" + "b" * 100}, "at most 100 characters"),
        ({"account_id": "bob ", "reason": ""}, "Blanks and invisible"),
        ({"account_id": "poor", "reason": ""}, "Insufficient credits"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused_in_the_form(
    sam: Client, changed: dict[str, str], says: str
) -> None:
    page = sam.post(NEW, fields(**changed))

    assert says in page.content.decode()
    assert not Campaign.objects.exists()


def test_an_auditor_sees_campaigns_and_creates_none(amir: Client) -> None:
    ask()

    assert amir.get("/admin/campaign/spring/").status_code == 200
    assert amir.post(NEW, fields()).status_code == 403
    assert amir.post("/admin/campaign-codes/spring/", form()).status_code == 403
