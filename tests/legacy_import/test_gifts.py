"""The import of gifts: codes work, and credits arrive once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command

from credits.models import (
    Transaction,
)
from gifts.models import GiftCode, GiftRedemption
from tests.api import Caller
from tests.factories import redeem
from tests.importing import available, findings, named, run
from tests.legacy import Earlier

pytestmark = pytest.mark.usefixtures("committed")


def facts(code: GiftCode) -> tuple[Any, ...]:
    entry = Transaction.objects.filter(cause=f"gift:{code.pk}").first()
    return (
        code.status,
        int(code.payment.amount),
        entry and (entry.user_id, int(entry.amount), str(entry.pk)),
    )


def test_gifts_keep_their_codes_and_their_credits(
    source: str, earlier: Earlier, report: Path, judy: Caller
) -> None:
    earlier.grant("ivan", 100)
    active = earlier.gift("ivan", 10, message="hello")
    redeemed = earlier.gift("ivan", 11)
    redemption = earlier.redeem(redeemed, "kate")
    cancelled = earlier.gift("ivan", 12)
    refund = earlier.cancel(cancelled)
    over, marked = earlier.gift("ivan", 13), earlier.gift("ivan", 14)
    earlier.expire(over)
    earlier.expire(marked, "expired")
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"ivan": 52, "kate": 11}
    codes = {str(code.pk): code for code in GiftCode.objects.all()}
    assert facts(codes[active["id"]]) == ("active", -10, None)
    arrival = ("kate", 11, redemption["credit_transaction_id"])
    assert facts(codes[redeemed["id"]]) == ("depleted", -11, arrival)
    assert facts(codes[cancelled["id"]]) == ("cancelled", -12, ("ivan", 12, refund["id"]))
    assert facts(codes[over["id"]]) == ("active", -13, None)
    assert facts(codes[marked["id"]]) == ("active", -14, None)
    assert {code.creator_name for code in codes.values()} == {None}
    text = Transaction.objects.get(pk=redemption["credit_transaction_id"]).description
    assert text == "Gift redeemed: 11 credits from somebody"
    assert str(GiftRedemption.objects.get().pk) == redemption["id"]
    assert judy.post(f"{active['code']}/redeem", {}).json()["newBalance"] == 10
    assert judy.post(f"{over['code']}/redeem", {}).status_code == 400
    call_command("expire_gifts")
    assert available() == {"ivan": 79, "judy": 10, "kate": 11}
    assert named(report) == earlier.planted


def test_gifts_whose_entries_are_missing_get_them(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("ivan", 100)
    unpaid = earlier.gift("ivan", 10, reservation_transaction_id=None)
    lost = earlier.gift("ivan", 11)
    earlier.redeem(lost, "kate")["credit_transaction_id"] = None
    gone = earlier.gift("ivan", 12)
    gone.update(status="cancelled")
    nobody = earlier.gift("ivan", 13)
    nobody.update(status="depleted")
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"ivan": 54, "kate": 11}
    statuses = dict(GiftCode.objects.order_by("number").values_list("pk", "status"))
    assert statuses == {
        UUID(unpaid["id"]): "active",
        UUID(lost["id"]): "depleted",
        UUID(gone["id"]): "cancelled",
        UUID(nobody["id"]): "refunded",
    }
    adjusted = dict(Transaction.objects.filter(type="adjustment").values_list("user_id", "amount"))
    assert adjusted == {"ivan": 10 - 12 - 13, "kate": -11}
    assert {one for one in named(report) if one[0] == "gift"} == {
        ("gift", "ivan", unpaid["id"]),
        ("gift", "kate", lost["id"]),
        ("gift", "ivan", gone["id"]),
        ("gift", "ivan", nobody["id"]),
    }


def test_gifts_by_the_rules_here(source: str, earlier: Earlier, report: Path) -> None:
    earlier.grant("ivan", 50_000)
    earlier.gift("ivan", 1, creator_name="  Ivan\nTheGreat  ", expires_at=None)
    earlier.gift("ivan", 2, type="personalized", target_email=" Kate@Example.Test ")
    earlier.gift("ivan", 3, type="personalized")
    odd = earlier.gift("ivan", 4, target_email="\u212aate@example.test", type="personalized")
    earlier.planted.add(("gift type", "ivan", odd["id"]))
    large = earlier.gift("ivan", 20_000)
    earlier.planted.add(("not imported", "ivan", large["id"]))
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    made = list(GiftCode.objects.order_by("number"))
    assert [(gift.type, gift.target_email) for gift in made] == [
        ("simple", None),
        ("personalized", "kate@example.test"),
        ("simple", None),
        ("personalized", f"{made[3].pk}@nobody.invalid"),
    ]
    assert made[0].creator_name == "Ivan TheGreat"
    assert made[0].expires_at > datetime.now(UTC) + timedelta(days=360)
    assert named(report) == earlier.planted


def test_a_simple_gift_with_an_address_becomes_personalised_and_is_named(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("ivan", 100)
    open_one = earlier.gift("ivan", 10, target_email="Kate@Example.Test")
    done = earlier.gift("ivan", 11, target_email="judy@example.test")
    earlier.redeem(done, "judy")
    blank = earlier.gift("ivan", 12, target_email=" ")
    earlier.planted.remove(("gift type", "ivan", blank["id"]))
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert list(GiftCode.objects.order_by("number").values_list("type", flat=True)) == [
        "personalized",
        "personalized",
        "simple",
    ]
    sentences = {row["row_id"]: row["sentence"] for row in findings(report)}
    assert sentences[open_one["id"]] == (
        f"gift {open_one['id']} of 10 credits, active, is simple with an address; it is "
        "personalised here"
    )
    assert named(report) == earlier.planted


def test_a_gift_redeemed_there_since_is_redeemed_here(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("ivan", 100)
    code, both = earlier.gift("ivan", 10), earlier.gift("ivan", 20)
    earlier.flush(source)
    run(source, "--apply", report=report)
    ours = GiftCode.objects.get(pk=both["id"])
    redeem(ours, "judy")
    earlier.redeem(code, "kate")
    twice = earlier.redeem(both, "kate")["credit_transaction_id"]
    earlier.planted.add(("double credit", "kate", twice))
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert GiftCode.objects.get(pk=code["id"]).status == "depleted"
    who = dict(GiftRedemption.objects.values_list("gift_code_id", "redeemer_id"))
    assert who == {UUID(code["id"]): "kate", UUID(both["id"]): "judy"}
    assert available() == {"ivan": 70, "judy": 20, "kate": 30}
    assert named(report) == earlier.planted
