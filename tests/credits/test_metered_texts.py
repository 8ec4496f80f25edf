"""Files, statements and exports tell how a price by units came about."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from credits.models import Transaction
from mana_credits.privacy import erasure, export
from tests.api import Caller
from tests.factories import give, spend, use_units

pytestmark = pytest.mark.django_db

OPERATION = "ai_chat_gpt4"
USED = "1,200 inputTokens at 0.4 per 1,000, 300 outputTokens at 1.2 per 1,000, at least 0.01"
ABOVE = "30,000 inputTokens at 0.4 per 1,000, at least 0.01, 2.84 unpaid"


@pytest.fixture
def entries() -> list[Transaction]:
    """Return a grant, a spend, a metered use, and a commit that is not paid in full."""
    give("alice", 11)
    spend("alice", 1)
    use_units("alice")
    return list(Transaction.objects.order_by("number"))


@pytest.mark.usefixtures("entries")
def test_a_file_has_the_units_in_its_last_column(alice: Caller) -> None:
    content = alice.get("transactions.csv").content.decode().removeprefix("\ufeff")

    rows = list(csv.DictReader(io.StringIO(content, newline="")))

    assert [row["units"] for row in rows] == [ABOVE, USED, "", ""]


@pytest.mark.usefixtures("entries")
def test_a_statement_has_the_metering_of_its_movements(alice: Caller) -> None:
    month = datetime.now(UTC).strftime("%Y-%m")

    movements = alice.get(f"statements/{month}").json()["statement"]["movements"]

    assert ["metering" in one for one in movements] == [False, False, True, True]
    listed = {one["id"]: one.get("metering") for one in alice.get("transactions").json()}
    assert {one["id"]: one.get("metering") for one in movements} == listed
    assert movements[3]["metering"] == {
        "units": {"inputTokens": 30_000},
        "unitCosts": {"inputTokens": 0.4, "outputTokens": 1.2},
        "minimum": 0.01,
        "version": 2,
        "unpaid": 2.84,
    }


@pytest.mark.parametrize(
    "filters", ["?type=usage", "?appId=chat", "?limit=1&offset=1", "?from=2020-01-01"]
)
@pytest.mark.usefixtures("entries")
def test_every_way_to_list_tells_the_metering(alice: Caller, filters: str) -> None:
    listed = alice.get(f"transactions{filters}").json()

    assert any("metering" in one for one in listed)


@pytest.mark.usefixtures("entries")
def test_an_export_has_the_metering() -> None:
    exported = json.loads("".join(export.document("alice", now=datetime.now(UTC))))

    meterings = [one["metering"] for one in exported["transactions"]]
    assert [one and one["units"] for one in meterings] == [
        None,
        None,
        {"inputTokens": 1200, "outputTokens": 300},
        {"inputTokens": 30_000},
    ]


@pytest.mark.usefixtures("entries")
def test_an_erasure_keeps_the_metering() -> None:
    before = list(Transaction.objects.order_by("number").values_list("metering", "digest"))

    erasure.erase("alice")

    after = Transaction.objects.order_by("number")
    assert list(after.values_list("metering", "digest")) == before
    assert not after.filter(user_id="alice").exists()
