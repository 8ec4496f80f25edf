"""Adjustments: one operator suffices up to a limit, two are needed above it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from credits.amounts import InvalidAmount
from credits.ledger import ledger
from credits.ledger.outcomes import ExceedsOriginal, UserUnknown
from credits.ledger.posting import Memo, Origin
from credits.models import AdjustmentRequest, Transaction
from mana_credits.back_office.acts import approvals, balance_adjustments
from mana_credits.back_office.acts.act_requests import RequestDecided
from mana_credits.back_office.acts.audit import (
    AlreadyDone,
    Justification,
    NoteRequired,
    NotPermitted,
)
from mana_credits.back_office.acts.balance_adjustments import AlreadyReversed, ReasonUnknown
from mana_credits.back_office.acts.second_person import CannotDecideOwnRequest
from tests.api import at_once
from tests.back_office.operators import acts, browser, form, operator
from tests.factories import give, hold, lapse, spend
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

ADJUST = "/admin/account/adjust/?user=alice"
WHY = Justification("goodwill", "The chat hung twice", "SUP-1")


def adjust(name: str, amount: float | str, **more: Any) -> Any:
    now = more.pop("now", datetime.now(UTC))
    key = more.pop("key", uuid4())
    why = more.pop("why", WHY)
    return balance_adjustments.adjust(
        operator(name), "alice", Decimal(str(amount)), why=why, key=key, now=now
    )


def wanted(amount: str, **more: Any) -> dict[str, Any]:
    return form(amount=amount, reason="goodwill", **more)


def request_of(name: str = "sam", amount: float = 500) -> AdjustmentRequest:
    asked = adjust(name, amount)
    assert isinstance(asked, AdjustmentRequest)
    return asked


def available() -> Decimal:
    return ledger.balance_of("alice").available


def test_a_preview_says_what_it_comes_to_and_moves_nothing(sam: Client) -> None:
    give("alice", 10)

    page = sam.post(ADJUST, wanted("2.5", confirmed="")).content.decode()

    assert "<strong>12.5</strong>" in page
    assert "Post +2.5 credits" in page
    assert available() == 10
    assert not acts().exists()


def test_a_preview_leaves_out_what_has_expired(sam: Client) -> None:
    give("alice", 10)
    late = give("alice", 5, expires_at=datetime.now(UTC) + timedelta(days=1))
    assert late.balance.available == 15
    lapse("alice")

    page = sam.post(ADJUST, wanted("2.5", confirmed="")).content.decode()

    assert "<strong>12.5</strong>" in page


def test_a_confirmed_adjustment_is_posted_and_on_record(sam: Client) -> None:
    give("alice", 10)

    answer = sam.post(ADJUST, wanted("-2.5", ticket="SUP-1"), HTTP_X_REQUEST_ID="req-1")

    entry = Transaction.objects.get(type="adjustment")
    record = acts().get()
    assert (answer.status_code, answer["Location"]) == (302, "/admin/account/?user=alice")
    assert (entry.amount, entry.balance_after, entry.actor) == (
        Decimal("-2.5"),
        Decimal("7.5"),
        "operator:sam",
    )
    assert (entry.description, entry.metadata, entry.request_id) == ("Goodwill", None, "req-1")
    assert (record.operator, record.action, record.user_id) == (
        "sam",
        "credits.adjust_balance",
        "alice",
    )
    assert (record.subject, record.note, record.ticket, record.address) == (
        f"transaction:{entry.pk}",
        "Wrote to us",
        "SUP-1",
        "127.0.0.1",
    )
    assert record.before == {"available": "10.0000"}
    assert record.after == {"amount": "-2.5", "available": "7.5000"}


def test_the_same_form_sent_twice_posts_once(sam: Client) -> None:
    give("alice", 10)
    sent = wanted("5")

    answers = [sam.post(ADJUST, sent), sam.post(ADJUST, sent)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert available() == 15
    assert acts().count() == 1


@pytest.mark.usefixtures("committed")
def test_the_same_form_sent_at_once_posts_once() -> None:
    give("alice", 10)
    sam, sent = browser("sam"), wanted("5")
    cookies = sam.cookies

    def send(_: int) -> Any:
        client = Client()
        client.cookies = cookies
        return client.post(ADJUST, sent)

    answers = at_once(6, send)

    assert {answer.status_code for answer in answers} == {302}
    assert available() == 15
    assert acts().count() == 1


@pytest.mark.parametrize("amount", ["100.0001", "-100.0001", "5000"])
def test_above_the_limit_a_second_person_is_asked(sam: Client, amount: str) -> None:
    give("alice", 10)

    preview = sam.post(ADJUST, wanted(amount, confirmed="")).content.decode()
    sam.post(ADJUST, wanted(amount))

    asked = AdjustmentRequest.objects.get()
    assert "Ask for approval" in preview
    assert (asked.amount, asked.status, asked.requested_by) == (Decimal(amount), "pending", "sam")
    assert available() == 10
    assert (
        "1 request about this account waits"
        in sam.get("/admin/account/?user=alice").content.decode()
    )


def test_the_limit_counts_what_one_operator_moved_on_one_account_in_a_day() -> None:
    give("alice", 10)
    now = datetime.now(UTC)

    kinds = [
        type(adjust("sam", 60)).__name__,
        type(adjust("sam", -40)).__name__,
        type(adjust("sam", "0.1")).__name__,
        type(adjust("fiona", 100)).__name__,
        type(adjust("sam", 100, now=now + timedelta(hours=25))).__name__,
    ]

    assert kinds == ["Posting", "Posting", "AdjustmentRequest", "Posting", "Posting"]


@pytest.mark.usefixtures("committed")
def test_two_forms_at_once_do_not_share_one_limit() -> None:
    give("alice", 10)
    operator("sam")

    outcomes = at_once(4, lambda _: type(adjust("sam", 60)).__name__)

    assert sorted(outcomes) == ["AdjustmentRequest"] * 3 + ["Posting"]
    assert available() == 70


def test_an_adjustment_may_leave_a_debt_and_says_so(sam: Client) -> None:
    give("alice", 10)
    hold("alice", 8)

    page = sam.post(ADJUST, wanted("-5", confirmed="")).content.decode()
    sam.post(ADJUST, wanted("-5"))

    assert "goes below zero" in page
    assert available() == -3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"amount": "0"}, "positive number of credits"),
        ({"amount": "0.00001"}, "4 decimal places"),
        ({"amount": "abc"}, "number"),
        ({"amount": "1", "note": "  "}, "required"),
        ({"amount": "1", "reason": "because"}, "valid choice"),
        ({"amount": "1", "key": "no"}, "valid UUID"),
    ],
)
def test_bad_input_is_named_and_moves_nothing(
    sam: Client, fields: dict[str, str], words: str
) -> None:
    give("alice", 10)

    answer = sam.post(ADJUST, {**wanted("1"), **fields})

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert available() == 10
    assert not acts().exists()


def test_the_domain_refuses_by_itself() -> None:
    give("alice", 10)

    with pytest.raises(NotPermitted):
        adjust("amir", 1)
    with pytest.raises(NoteRequired):
        adjust("sam", 1, why=Justification("goodwill", "  "))
    with pytest.raises(ReasonUnknown):
        adjust("sam", 1, why=Justification("because", "so"))
    with pytest.raises(InvalidAmount):
        adjust("sam", 0)
    with pytest.raises(UserUnknown):
        balance_adjustments.adjust(
            operator("sam"), "nobody", Decimal(1), why=WHY, key=uuid4(), now=datetime.now(UTC)
        )

    assert not acts().exists()
    assert not Transaction.objects.filter(type="adjustment").exists()


def test_a_colleague_approves(fiona: Client) -> None:
    give("alice", 10)
    asked = request_of()

    page = fiona.get(f"/admin/adjustments/{asked.pk}/").content.decode()
    fiona.post(f"/admin/adjustments/{asked.pk}/", form(approve="1", note=""))

    asked.refresh_from_db()
    entry = Transaction.objects.get(type="adjustment")
    assert "<strong>510</strong>" in page
    assert (asked.status, asked.decided_by, asked.transaction) == ("approved", "fiona", entry)
    assert (available(), entry.actor) == (510, "operator:fiona")
    assert acts().get(operator="fiona").after == {
        "amount": "500.0000",
        "available": "510.0000",
    }


def test_a_colleague_rejects_and_says_why(fiona: Client) -> None:
    give("alice", 10)
    asked = request_of()

    silent = fiona.post(f"/admin/adjustments/{asked.pk}/", form(reject="1", note=""))
    fiona.post(f"/admin/adjustments/{asked.pk}/", form(reject="1", note="Too much"))

    asked.refresh_from_db()
    assert NoteRequired.message in silent.content.decode()
    assert (asked.status, asked.transaction, available()) == ("rejected", None, 10)
    assert acts().get(operator="fiona").note == "Too much"


def test_nobody_decides_about_their_own(fiona: Client) -> None:
    give("alice", 10)
    asked = request_of("fiona")

    page = fiona.get(f"/admin/adjustments/{asked.pk}/").content.decode()
    answer = fiona.post(f"/admin/adjustments/{asked.pk}/", form(approve="1"))

    assert "your own request" in page
    assert "your own request" in answer.content.decode()
    assert available() == 10
    with pytest.raises(CannotDecideOwnRequest):
        balance_adjustments.approve(
            operator("fiona"), asked.pk, note="", key=uuid4(), now=datetime.now(UTC)
        )
    with (
        pytest.raises(IntegrityError, match="adjustment_is_decided_by_a_second_person"),
        transaction.atomic(),
    ):
        AdjustmentRequest.objects.update(
            status="rejected", decided_by="fiona", decided_at=datetime.now(UTC)
        )


def test_support_asks_and_does_not_approve(sam: Client) -> None:
    give("alice", 10)
    asked = request_of("fiona")

    assert sam.post(f"/admin/adjustments/{asked.pk}/", form(approve="1")).status_code == 403
    assert sam.get("/admin/adjustments/").status_code == 200
    assert available() == 10


def test_a_request_is_decided_once() -> None:
    give("alice", 10)
    asked = request_of()
    fiona, now = operator("fiona"), datetime.now(UTC)
    balance_adjustments.approve(fiona, asked.pk, note="", key=uuid4(), now=now)

    with pytest.raises(RequestDecided):
        balance_adjustments.approve(fiona, asked.pk, note="", key=uuid4(), now=now)
    with pytest.raises(RequestDecided):
        approvals.reject(AdjustmentRequest, fiona, asked.pk, note="late", key=uuid4(), now=now)
    with pytest.raises(RequestDecided):
        approvals.reject(AdjustmentRequest, fiona, uuid4(), note="none", key=uuid4(), now=now)

    assert available() == 510


@pytest.mark.usefixtures("committed")
def test_two_colleagues_at_once_post_once() -> None:
    give("alice", 10)
    asked = request_of()
    people = [operator("fiona"), operator("ada")]

    def decide(index: int) -> str:
        try:
            balance_adjustments.approve(
                people[index % 2], asked.pk, note="", key=uuid4(), now=datetime.now(UTC)
            )
        except RequestDecided:
            return "decided"
        return "approved"

    outcomes = at_once(6, decide)

    assert sorted(outcomes) == ["approved"] + ["decided"] * 5
    assert available() == 510


def test_a_reversal_is_linked_and_happens_once(fiona: Client) -> None:
    give("alice", 10)
    usage = spend("alice", 4).transaction
    page = f"/admin/transaction/{usage.pk}/"

    before = fiona.get(page).content.decode()
    fiona.post(f"{page}reverse/", form())
    again = fiona.post(f"{page}reverse/", form())

    entry = Transaction.objects.get(type="reversal")
    after = fiona.get(page).content.decode()
    assert (entry.amount, entry.related, available()) == (Decimal(4), usage, 10)
    assert AlreadyReversed.message in again.content.decode()
    assert ("/reverse/" in before, "/reverse/" in after) == (True, False)
    assert f"/admin/transaction/{entry.pk}/" in after
    assert acts().get().subject == f"transaction:{usage.pk}"


def test_what_was_given_back_in_part_is_not_reversed(fiona: Client) -> None:
    give("alice", 10)
    usage = spend("alice", 4).transaction
    origin, memo = Origin("service"), Memo()
    ledger.refund("alice", Decimal(1), memo=memo, origin=origin, usage_id=usage.pk)

    answer = fiona.post(f"/admin/transaction/{usage.pk}/reverse/", form())

    assert ExceedsOriginal.message in answer.content.decode()
    assert available() == 7
    assert not acts().exists()


def test_support_reverses_nothing(sam: Client) -> None:
    give("alice", 10)
    usage = spend("alice", 4).transaction

    answer = sam.post(f"/admin/transaction/{usage.pk}/reverse/", form())

    assert answer.status_code == 403
    assert available() == 6


ERASE_ACTS = (
    "UPDATE credits.staff_actions SET note = '', ticket = '', request_id = '',"
    " before = '{}', after = '{}'"
)


@pytest.mark.parametrize(
    "verb",
    [
        "UPDATE credits.staff_actions SET note = 'other'",
        "DELETE FROM credits.staff_actions",
        "TRUNCATE credits.staff_actions",
        f"{ERASE_ACTS}, operator = 'x'",
        f"{ERASE_ACTS}, at = now()",
        f"{ERASE_ACTS}, moved = 7",
        f"{ERASE_ACTS}, user_id = 'mallory'",
    ],
)
def test_audit_records_cannot_be_changed(verb: str) -> None:
    give("alice", 10)
    adjust("sam", 1)

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
        as_owner(),
    ):
        cursor.execute(verb)

    assert acts().get().note == WHY.note


def test_a_form_acts_once_by_its_key() -> None:
    give("alice", 10)
    key = uuid4()
    adjust("sam", 1, key=key)

    with pytest.raises(AlreadyDone):
        adjust("sam", 2, key=key)

    assert available() == 11
