"""Who looks at a person's account, or searches for one, leaves a line about it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from credits.models import OutboxMessage, StaffAction, StripeCustomer
from credits.outbox import outbox
from mana_credits.back_office.account import timeline
from mana_credits.privacy import erasure, export
from tests.api import at_once
from tests.back_office.operators import browser
from tests.credits.test_money_back import paid
from tests.factories import gift, give, hold, spend

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def lines() -> list[tuple[str, str, str | None]]:
    rows = StaffAction.objects.order_by("at")
    return list(rows.values_list("operator", "action", "user_id"))


def test_a_look_at_an_account_is_on_record(amir: Client) -> None:
    give("alice", 5)

    amir.get("/admin/account/?user=alice", HTTP_X_REQUEST_ID="req-7")

    row = StaffAction.objects.get()
    assert lines() == [("amir", "looked_at_account", "alice")]
    assert (row.address, row.request_id, row.at >= NOW) == ("127.0.0.1", "req-7", True)


def of_alice() -> dict[str, str]:
    give("alice", 100)
    made = gift("alice", 5)
    outbox.tell("alice", {"body": "x"}, key="k", now=NOW)
    return {
        "transaction": f"transaction/{spend('alice', 1).transaction.pk}/",
        "reservation": f"reservation/{hold('alice', 1).pk}/",
        "gift": f"gift/{made.pk}/",
        "message": f"message/{OutboxMessage.objects.get().pk}/",
        "sync": "sync/?user=alice",
        "adjust": "account/adjust/?user=alice",
    }


@pytest.mark.parametrize(
    "name", ["transaction", "reservation", "gift", "message", "sync", "adjust"]
)
def test_a_look_at_a_row_of_an_account_is_one_too(sam: Client, name: str) -> None:
    path = of_alice()[name]

    answer = sam.get(f"/admin/{path}")

    assert answer.status_code == 200
    assert lines() == [("sam", "looked_at_account", "alice")]


def test_a_look_at_a_purchase_is_one_too(sam: Client) -> None:
    bought = paid()

    sam.get(f"/admin/purchase/{bought.pk}/")

    assert lines() == [("sam", "looked_at_account", bought.user_id)]


def test_turning_pages_is_one_look_and_another_quarter_of_an_hour_another(sam: Client) -> None:
    give("alice", 5)
    for _ in range(3):
        sam.get("/admin/account/?user=alice")
    first = len(lines())
    past = {"at__lt": datetime.now(UTC) + timedelta(minutes=1)}
    assert StaffAction.objects.filter(**past).count() == 1

    browser("amir").get("/admin/account/?user=alice")

    assert first == 1
    assert [operator for operator, _, _ in lines()] == ["sam", "amir"]


def test_a_search_is_on_record_with_all_accounts_it_found(sam: Client) -> None:
    give("alice", 5)
    give("alina", 5)

    sam.get("/admin/search-accounts/?q=ali")
    sam.get("/admin/search-accounts/?q=nobody")
    sam.get("/admin/search-accounts/")

    assert lines() == [
        ("sam", "searched_accounts", None),
        ("sam", "found_account", "alice"),
        ("sam", "found_account", "alina"),
        ("sam", "searched_accounts", None),
    ]
    searched = StaffAction.objects.filter(action="searched_accounts").order_by("pk")
    assert [row.note for row in searched] == ["ali", "nobody"]


def test_the_reason_of_a_search_is_on_the_following_looks_too(sam: Client) -> None:
    give("alice", 5)
    sam.get("/admin/account/?user=alice")

    found = sam.get("/admin/search-accounts/", {"q": "alice", "why": " Ticket  7\n"})
    sam.get(found["Location"])
    sam.get(found["Location"])
    asked = sam.get("/admin/search-accounts/").content.decode()
    exported = json.loads("".join(export.document("alice", now=NOW)))["staff_actions"]
    sam.get("/admin/search-accounts/", {"q": "alice", "why": ""})
    sam.get("/admin/account/?user=alice")

    rows = [(row.action, row.after.get("why")) for row in StaffAction.objects.all()]
    assert sorted(rows, key=str) == [
        ("found_account", "Ticket 7"),
        ("found_account", None),
        ("looked_at_account", "Ticket 7"),
        ("looked_at_account", None),
        ("searched_accounts", "Ticket 7"),
        ("searched_accounts", None),
    ]
    assert 'value="Ticket 7"' in asked
    assert [row["after"] for row in exported][1:] == [{"why": "Ticket 7"}] * 2


def test_erasure_empties_the_reason_of_a_look(sam: Client) -> None:
    give("alice", 5)
    sam.get("/admin/search-accounts/", {"q": "alice", "why": "Alice Unmistakable called"})
    sam.get("/admin/account/?user=alice")

    erasure.erase("alice")

    assert "Unmistakable" not in json.dumps(list(StaffAction.objects.values()), default=str)


def test_a_search_by_code_keeps_no_code(sam: Client) -> None:
    give("ivan", 10)
    made = gift("ivan")

    sam.get("/admin/search-accounts/", {"q": made.code})

    kept = json.dumps(list(StaffAction.objects.values()), default=str)
    assert made.code not in kept
    assert made.code[-4:] in kept


@pytest.mark.parametrize(
    ("path", "query"),
    [("credits/purchase", {"q": "alice"}), ("gifts/giftcode", {"creator": "alice"})],
)
def test_a_search_in_a_list_is_on_record(sam: Client, path: str, query: dict[str, Any]) -> None:
    sam.get(f"/admin/{path}/", query)

    row = StaffAction.objects.get()
    assert (row.action, row.note) == ("searched_accounts", "alice")


def test_looks_are_in_the_audit_and_not_between_the_acts(sam: Client, amir: Client) -> None:
    give("alice", 5)
    sam.get("/admin/account/?user=alice")

    audit = amir.get("/admin/credits/staffaction/").content.decode()

    assert "looked_at_account" in audit
    assert [one for one in timeline.page("alice").entries if one.kind == "staff"] == []


def test_the_person_is_told_and_looks_are_erased_with_the_rest(sam: Client) -> None:
    give("alice", 5)
    StripeCustomer.objects.create(
        user_id="alice", stripe_customer_id="cus_1", email="alice@example.test", created_at=NOW
    )
    sam.get("/admin/account/?user=alice")
    sam.get("/admin/search-accounts/?q=Alice@Example.test")

    told = json.loads("".join(export.document("alice", now=NOW)))["staff_actions"]
    erasure.erase("alice")

    assert [one["action"] for one in told] == ["looked_at_account", "found_account"]
    assert "sam" not in json.dumps(told)
    kept = json.dumps(list(StaffAction.objects.values()), default=str)
    assert "alice" not in kept
    assert StaffAction.objects.count() == 3


@pytest.mark.usefixtures("committed")
def test_looks_at_the_same_time_do_not_fail() -> None:
    give("alice", 5)
    cookies = browser("sam").cookies

    def visit(_: int) -> int:
        client = Client()
        client.cookies = cookies
        return client.get("/admin/account/?user=alice").status_code

    assert at_once(6, visit) == [200] * 6
    assert StaffAction.objects.filter(action="looked_at_account").exists()
