"""Exports: the requested rows, streamed, recorded and without formulas."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import StaffAction
from mana_credits.back_office.acts import csv_exports
from mana_credits.back_office.acts.audit import AlreadyDone, NotPermitted
from mana_credits.back_office.acts.csv_exports import ExportFilter, ListUnknown
from tests.api import at_once
from tests.back_office.operators import browser, form, operator
from tests.factories import gift, give, meter, spend

pytestmark = pytest.mark.django_db


def rows(answer: Any) -> list[dict[str, str]]:
    return dicts(part.decode() for part in answer.streaming_content)


def dicts(lines: Iterable[str]) -> list[dict[str, str]]:
    text = "".join(lines)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def test_the_transactions_of_an_account(fiona: Client) -> None:
    give("alice", 10)
    give("bob", 5)
    spend("alice", 2)

    answer = fiona.post("/admin/export/", form(what="transactions", user_id="alice"))

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="transactions.csv"'
    assert [(row["user_id"], row["amount"], row["balance_after"]) for row in rows(answer)] == [
        ("alice", "10.0000", "10.0000"),
        ("alice", "-2.0000", "8.0000"),
    ]
    record = StaffAction.objects.get()
    assert (record.action, record.subject) == ("credits.export_rows", "export:transactions")
    assert (record.user_id, record.note) == ("alice", "user_id alice")


def test_an_object_is_json() -> None:
    meter()
    give("alice", 10)
    priced = Priced("ai_chat_gpt4", None, {"inputTokens": 500})
    ledger.spend("alice", priced, memo=Memo("chat", "Chat"), origin=Origin("user"))

    lines = csv_exports.export(operator("amir"), "transactions", ExportFilter(), key=uuid4())

    first, second = dicts(lines)
    assert first["metering"] == ""
    metering = json.loads(second["metering"])
    assert (metering["units"], metering["minimum"]) == ({"inputTokens": 500}, None)


def test_only_the_days_that_were_asked_for() -> None:
    now = datetime.now(UTC)
    give("alice", 10)
    spend("alice", 1, at=now - timedelta(days=3))
    spend("alice", 2, at=now - timedelta(days=2))

    chosen = ExportFilter(since=now - timedelta(days=2, hours=1), until=now - timedelta(days=1))
    lines = list(csv_exports.export(operator("amir"), "transactions", chosen, key=uuid4()))

    assert len(lines) == 2
    assert "-2.0000" in lines[1]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\u200b=1", "\uff1d1"])
def test_no_text_is_a_formula(text: str) -> None:
    give("alice", 10)
    origin = Origin("user")
    ledger.spend("alice", Decimal(1), memo=Memo("chat", text), origin=origin)

    lines = csv_exports.export(operator("amir"), "transactions", ExportFilter(), key=uuid4())

    cells = [row["description"] for row in dicts(lines)]
    assert cells[1] == f"'{text}"


@pytest.mark.parametrize("what", ["transactions", "purchases", "staff-actions", "gifts"])
def test_every_list_can_be_had(amir: Client, what: str) -> None:
    give("ivan", 20)
    code = gift("ivan").code

    answer: Any = amir.post("/admin/export/", form(what=what))

    text = b"".join(answer.streaming_content).decode()
    assert text.splitlines()[0].count(",") > 5
    assert code not in text


def test_support_exports_nothing(sam: Client) -> None:
    assert sam.get("/admin/export/").status_code == 403
    with pytest.raises(NotPermitted):
        csv_exports.export(operator("sam"), "transactions", ExportFilter(), key=uuid4())


def test_an_unknown_list_and_a_repeated_form_are_refused() -> None:
    amir, key = operator("amir"), uuid4()
    csv_exports.export(amir, "gifts", ExportFilter(), key=key)

    with pytest.raises(AlreadyDone):
        csv_exports.export(amir, "gifts", ExportFilter(), key=key)
    with pytest.raises(ListUnknown):
        csv_exports.export(amir, "secrets", ExportFilter(), key=uuid4())

    assert StaffAction.objects.count() == 1


def test_a_form_sent_again_says_so_and_keeps_what_was_typed(fiona: Client) -> None:
    sent = form(what="gifts")
    fiona.post("/admin/export/", sent)

    again = {**sent, "user_id": "alice", "since": "2026-11-01"}
    shown = fiona.post("/admin/export/", again).context["form"]
    exported = fiona.post("/admin/export/", {**again, "key": shown["key"].value()})

    assert [shown[name].value() for name in ("what", "user_id", "since")] == [
        *("gifts", "alice", "2026-11-01")
    ]
    assert exported["Content-Type"].startswith("text/csv")


def test_the_account_page_leads_there(amir: Client) -> None:
    give("alice", 10)

    page = amir.get("/admin/account/?user=alice").content.decode()

    assert "/admin/export/?what=transactions&amp;user_id=alice" in page
    assert 'value="alice"' in amir.get("/admin/export/?user_id=alice").content.decode()
    assert browser("sam").get("/admin/account/?user=alice").content.decode().count("/export/") == 0


@pytest.mark.usefixtures("committed")
def test_one_export_is_sent_at_a_time_and_its_end_lets_the_next_one_in() -> None:
    give("alice", 10)

    def ask(_: int = 0) -> Any:
        return browser("fiona").post("/admin/export/", form(what="transactions"))

    first = at_once(1, ask)[0]
    refused = at_once(1, ask)[0]
    first.close()  # the client disconnected before the first line
    second = at_once(1, ask)[0]

    assert (first.status_code, second.status_code) == (200, 200)
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    assert "Another export is being sent" in refused.content.decode()
    assert len(rows(second)) == 1
    second.close()
