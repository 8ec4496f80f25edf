"""A form about an earlier state is refused with what changed; a decided request shows what was."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from credits.catalogue import catalogue
from credits.catalogue.catalogue import Price
from credits.models import AdjustmentRequest, DailyTotal, MoneyBack, Operation
from tests.back_office.operators import acts, form
from tests.credits.test_money_back import paid, started
from tests.factories import gift, give, package, redeem, spend

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def one_person(settings: Any) -> None:
    """Let one operator set any price alone."""
    settings.ADMIN_PRICE_FACTOR = Decimal(1_000_000)


def seen(client: Client, address: str) -> str:
    """Return the state that the form carries."""
    page = client.get(address).content.decode()
    found = re.search(r'name="seen" value="([^"]*)"', page)
    assert found
    return unescape(found[1])


def operation() -> Operation:
    return Operation.objects.earliest("key")


def test_a_stale_price_form_is_refused_with_what_changed(fiona: Client) -> None:
    key = operation().pk
    address = f"/admin/operation/{key}/price/"
    shown = seen(fiona, address)
    catalogue.set_price(key, Price(Decimal(33), None), actor="operator:ada", now=NOW)

    stale = fiona.post(address, form(cost="7", seen=shown))
    page = unescape(stale.content.decode())

    assert stale.status_code == 200
    assert "This changed after you opened the form" in page
    assert ": 33 credits" in page
    assert operation().cost == 33
    assert not acts().exists()

    again = fiona.post(address, form(cost="7", seen=seen_in(page)))
    assert (again.status_code, operation().cost) == (302, 7)


def seen_in(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', page, re.DOTALL)
    assert found
    return found[1]


def test_a_current_form_with_a_browsers_line_ends_acts_and_its_repetition_is_none(
    fiona: Client,
) -> None:
    address = f"/admin/operation/{operation().pk}/price/"
    shown, key = seen(fiona, address).replace("\n", "\r\n"), uuid4()

    answers = [fiona.post(address, form(key, cost="7", seen=shown)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert acts().count() == 1


def stale_package(client: Client) -> tuple[str, dict[str, Any]]:
    sold = package()
    address = f"/admin/package/{sold.pk}/change/"
    shown = seen(client, address)
    type(sold).objects.filter(pk=sold.pk).update(price_euro_cents=999)
    fields = {"name": "A", "credits": "5", "price_euro_cents": "700", "sort_order": "1"}
    return address, {**fields, "seen": shown}


def stale_gift(client: Client) -> tuple[str, dict[str, Any]]:
    give("ivan", 20)
    made = gift("ivan", 5)
    address = f"/admin/gift/{made.pk}/extend/"
    shown = seen(client, address)
    type(made).objects.filter(pk=made.pk).update(expires_at=NOW + timedelta(days=99))
    end = NOW + timedelta(days=100)
    return address, {"end": f"{end:%Y-%m-%dT%H:%M}", "seen": shown}


def stale_refund(client: Client) -> tuple[str, dict[str, Any]]:
    bought = paid()
    address = f"/admin/purchase/{bought.pk}/refund/"
    shown = seen(client, address)
    MoneyBack.objects.create(
        kind="refund",
        stripe_payment_intent_id=bought.stripe_payment_intent_id or "",
        amount_cents=100,
        state="requested",
        created_at=NOW,
    )
    return address, {"amount": "1.00", "reason": "asked", "seen": shown}


@pytest.mark.parametrize("make", [stale_package, stale_gift, stale_refund])
def test_every_stale_form_is_refused(make: Any, fiona: Client) -> None:
    address, fields = make(fiona)

    page = fiona.post(address, form(**fields)).content.decode()

    assert "This changed after you opened the form" in page
    assert not acts().exists()


def test_the_preview_of_a_price_says_what_last_month_would_have_cost(fiona: Client) -> None:
    found = operation()
    catalogue.set_price(found.pk, Price(Decimal(4), None), actor="system", now=NOW)
    for days, charged in ((1, 40), (30, 20), (31, 500), (0, 500)):
        DailyTotal.objects.create(
            date=date.fromordinal(NOW.date().toordinal() - days),
            type="usage",
            app_id="chat",
            operation=found.pk,
            credits_out=charged,
            transactions=charged // 4,
        )

    address = f"/admin/operation/{found.pk}/price/"
    page = fiona.post(address, {**form(cost="10"), "confirmed": ""}).content.decode()

    for text in (
        "4 credits each",
        "10 credits each",
        "<dd>2.5</dd>",
        "60 credits in 15 uses",
        "about 150",
    ):
        assert text in page
    assert operation().cost == 4
    assert 'name="confirmed" value="1"' in page


def test_the_preview_says_that_a_price_waits_for_a_colleague(fiona: Client, settings: Any) -> None:
    settings.ADMIN_PRICE_FACTOR = Decimal(2)
    address = f"/admin/operation/{operation().pk}/price/"

    page = fiona.post(address, {**form(cost="99999"), "confirmed": ""}).content.decode()

    assert "waits for a colleague" in page


def test_the_preview_of_a_package_compares_the_price_of_a_credit(fiona: Client) -> None:
    sold = package()
    fields = {"name": "Starter", "credits": "1000", "price_euro_cents": "499", "sort_order": "1"}

    page = fiona.post(
        f"/admin/package/{sold.pk}/change/", {**form(), **fields, "confirmed": ""}
    ).content.decode()

    assert "<dd>0.5</dd>" in page
    assert "(1 cent a credit)" in page


@pytest.mark.parametrize("fields", [{"cost": "0"}, {"cost": "1", "per_items": "0"}])
def test_a_price_of_nothing_is_refused_before_the_preview(
    fields: dict[str, str], fiona: Client
) -> None:
    address = f"/admin/operation/{operation().pk}/price/"

    page = fiona.post(address, {**form(), **fields, "confirmed": ""}).content.decode()

    assert "greater than or equal to" in page


def test_a_decided_request_shows_what_was(fiona: Client, sam: Client) -> None:
    give("alice", 2290)
    for amount in ("500", "-9999999"):
        sam.post("/admin/account/adjust/?user=alice", form(amount=amount, reason="goodwill"))
    rejected, approved = AdjustmentRequest.objects.order_by("amount")
    fiona.post(f"/admin/adjustments/{approved.pk}/", form(approve="1"))
    fiona.post(f"/admin/adjustments/{rejected.pk}/", form(reject="1", note="too much"))
    spend("alice", 90)

    done = fiona.get(f"/admin/adjustments/{approved.pk}/").content.decode()
    no = fiona.get(f"/admin/adjustments/{rejected.pk}/").content.decode()

    assert "2,290 → <strong>2,790</strong>" in done
    assert "nothing was posted" in no
    assert "2,700" not in done + no
    assert "Approve and post" not in done + no


def test_a_withdrawn_request_has_no_form(sam: Client) -> None:
    give("alice", 5)
    sam.post("/admin/account/adjust/?user=alice", form(amount="500", reason="goodwill"))
    asked = AdjustmentRequest.objects.get()
    sam.post(f"/admin/withdraw/{asked.pk}/", form())

    page = sam.get(f"/admin/withdraw/{asked.pk}/").content.decode()

    assert "<textarea" not in page
    assert "withdrawn" in page


def test_a_refund_of_nothing_says_so_and_a_refunded_purchase_has_no_form(fiona: Client) -> None:
    bought = paid(Decimal(500), 499)
    address = f"/admin/purchase/{bought.pk}/refund/"

    nothing = fiona.post(address, form(amount="0", reason="asked")).content.decode()
    MoneyBack.objects.create(
        kind="refund",
        stripe_payment_intent_id=bought.stripe_payment_intent_id or "",
        amount_cents=499,
        state="requested",
        created_at=NOW,
    )
    full = fiona.get(address).content.decode()

    assert "A refund of €0 moves nothing" in nothing
    assert "nothing is left to refund" in full
    assert 'name="amount"' not in full


def test_an_unpaid_purchase_has_no_refund_form(fiona: Client) -> None:
    page = fiona.get(f"/admin/purchase/{started().pk}/refund/").content.decode()

    assert "Nothing was paid" in page
    assert 'name="amount"' not in page


def test_states_are_the_words_of_the_users_pages(sam: Client) -> None:
    give("ivan", 20)
    made = gift("ivan", 5)
    redeem(made, "judy")

    pages = [
        sam.get(address).content.decode()
        for address in (
            "/admin/account/?user=ivan",
            "/admin/gifts/giftcode/",
            f"/admin/gift/{made.pk}/",
        )
    ]

    assert all(">redeemed</span>" in page for page in pages)
    assert not any(">depleted</span>" in page for page in pages)


def test_the_request_that_waits_longest_is_listed(sam: Client) -> None:
    usual = {"reason": "goodwill", "note": "n", "requested_by": "nina", "requested_at": NOW}
    AdjustmentRequest.objects.bulk_create(
        AdjustmentRequest(id=UUID(int=number), user_id=f"user-{number:03}", amount=5, **usual)
        for number in range(101)
    )

    page = sam.get("/admin/adjustments/").content.decode()

    assert "user-000" in page
    assert "user-100" not in page
