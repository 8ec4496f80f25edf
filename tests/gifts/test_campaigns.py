"""Operators create a campaign of gift codes, once in any number of runs."""

import csv
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from credits import roles
from credits.models import ActRequest, Balance, Transaction
from gifts import campaigns, codes
from gifts.models import Campaign, GiftCode
from mana_credits.back_office.acts import gift_campaigns
from tests.api import at_once
from tests.factories import give, redeem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def olga(settings: Any) -> None:
    """Create the operator, who may move any amount alone."""
    settings.ADMIN_ADJUST_LIMIT = settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(10**9)
    user = User.objects.create(username="olga", is_staff=True)
    user.groups.add(Group.objects.get(name=roles.FINANCE))


def run(folder: Path, **options: Any) -> str:
    out = StringIO()
    values = {
        "campaign": "spring",
        "count": 5,
        "credits": Decimal("10.5"),
        "csv": folder / "codes.csv",
        "operator": "olga",
        **({} if "account" in options else {"reason": "Spring fair"}),
        **options,
    }
    call_command("create_gift_codes", stdout=out, **values)
    return out.getvalue()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "codes.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_codes_are_granted_by_an_operator_for_a_reason(tmp_path: Path) -> None:
    out = run(tmp_path, message="Hello", creator_name="Mana", days=30)

    assert out == f"5 codes of 10.5 credits in {tmp_path / 'codes.csv'}\n"
    made = rows(tmp_path)
    assert len({row["code"] for row in made}) == 5
    assert made[0]["url"] == f"http://localhost:3061/g/{made[0]['code']}"
    assert {row["credits"] for row in made} == {"10.5"}
    assert (tmp_path / "codes.csv").stat().st_mode & 0o777 == 0o600
    grant = Transaction.objects.get(type="grant")
    assert (grant.user_id, grant.amount, grant.actor, grant.description) == (
        "campaign:spring",
        Decimal("52.5"),
        "operator:olga",
        "Spring fair",
    )
    gift = GiftCode.objects.order_by("number")[0]
    assert (gift.creator_name, gift.message) == ("Mana", "Hello")
    assert gift.expires_at - Campaign.objects.get().created_at <= timedelta(days=30)
    assert Balance.objects.get(pk="campaign:spring").posted == 0
    assert redeem(gift, "judy").balance.posted == Decimal("10.5")


def test_codes_are_paid_from_an_account(tmp_path: Path) -> None:
    give("marketing", 100)

    run(tmp_path, account="marketing", credits=Decimal(20))

    assert Balance.objects.get().posted == 0
    assert set(GiftCode.objects.values_list("creator_id", "total_credits")) == {
        ("marketing", Decimal(20))
    }
    assert not Transaction.objects.filter(type="grant", actor="operator:olga").exists()


def test_an_account_that_cannot_pay_for_all_pays_for_none(tmp_path: Path) -> None:
    give("marketing", 50)

    with pytest.raises(CommandError, match=r"Insufficient credits \(required: 52.5, available: 50"):
        run(tmp_path, account="marketing")
    assert not GiftCode.objects.exists()
    assert not Campaign.objects.exists()


def test_a_second_run_makes_no_second_set(tmp_path: Path) -> None:
    run(tmp_path)
    first = rows(tmp_path)

    run(tmp_path)

    assert rows(tmp_path) == first
    assert GiftCode.objects.count() == 5
    assert Transaction.objects.filter(type="grant").count() == 1


@pytest.mark.usefixtures("committed")
def test_a_run_after_a_crash_makes_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "BATCH", 2)
    create = codes.create
    calls: list[int] = []

    def crash_at_the_fourth(*arguments: Any, **options: Any) -> GiftCode:
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("power cut")
        return create(*arguments, **options)

    with monkeypatch.context() as broken:
        broken.setattr(codes, "create", crash_at_the_fourth)
        with pytest.raises(RuntimeError, match="power cut"):
            run(tmp_path)
    after_crash = set(GiftCode.objects.values_list("code", flat=True))

    run(tmp_path)

    assert len(after_crash) == 2
    assert after_crash < set(GiftCode.objects.values_list("code", flat=True))
    assert len(rows(tmp_path)) == 5
    assert list(GiftCode.objects.order_by("number").values_list("campaign_number", flat=True)) == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert Transaction.objects.filter(type="grant").count() == 1


@pytest.mark.usefixtures("committed")
def test_two_runs_at_once_make_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns, "BATCH", 2)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()

    at_once(2, lambda index: run(folders[index], count=9))

    assert rows(folders[0]) == rows(folders[1])
    assert GiftCode.objects.count() == 9


@pytest.mark.parametrize("limit", [10**9, 1])
def test_a_run_that_is_overtaken_continues_with_the_same_campaign(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    settings.ADMIN_ADJUST_LIMIT = settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(limit)
    genuine = gift_campaigns.ask

    def overtaken(*wanted: Any, key: UUID, **named: Any) -> Any:
        genuine(*wanted, key=uuid4(), **named)
        return genuine(*wanted, key=key, **named)

    monkeypatch.setattr(gift_campaigns, "ask", overtaken)

    out = run(tmp_path)

    waits = limit == 1
    assert ("waits for a colleague's approval" in out) == waits
    assert ActRequest.objects.count() == waits
    assert (Campaign.objects.count(), GiftCode.objects.count()) == ((0, 0) if waits else (1, 5))


@pytest.mark.parametrize("change", [{"count": 6}, {"credits": Decimal(11)}, {"message": "other"}])
def test_a_name_that_is_taken_by_another_campaign_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    run(tmp_path)

    with pytest.raises(CommandError, match="other values; choose another name"):
        run(tmp_path, **change)
    assert GiftCode.objects.count() == 5


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0},
        {"credits": Decimal(0)},
        {"credits": Decimal(10_001)},
        {"credits": Decimal("1.00001"), "count": 10},
        {"days": 0},
        {"days": 366},
        {"campaign": "a" * 101},
        {"message": "a" * 501},
        {"reason": None},
        {"operator": "nobody"},
        {"account": "marketing", "reason": "both"},
    ],
)
def test_values_that_no_campaign_may_have_are_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(CommandError):
        run(tmp_path, **change)
    assert not Balance.objects.exists()


def test_an_amount_that_is_none_is_refused_at_the_shell(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="'ten' is not an amount of credits"):
        call_command(
            "create_gift_codes", "--campaign=x", "--count=1", "--credits=ten", "--csv=x.csv"
        )
