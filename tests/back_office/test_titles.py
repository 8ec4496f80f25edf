"""Lists and pages are named in the operators' words, and values are written in words."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from credits.amounts import counted
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import Operation, Package, StaffAction
from credits.payments import packages
from credits.payments.packages import Offer
from credits.reporting import daily_totals
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.acts.audit import Justification
from mana_credits.back_office.templatetags.office import NOTHING, menu_titles
from tests.back_office.operators import browser, operator
from tests.factories import give, hold, package, spend

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def text(client: Client, path: str) -> str:
    """Return the words of a page."""
    return " ".join(strip_tags(client.get(path).content.decode().replace("<", " <")).split())


@pytest.mark.slow
@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda one: one.__name__)
def test_a_list_has_the_name_of_its_entry_in_the_menu(model: type, ada: Client) -> None:
    options = model._meta  # type: ignore[attr-defined]
    address = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
    title = menu_titles()[address]

    page = ada.get(address).content.decode()

    heading = page.split("<title>")[1].split("|")[0].strip()
    assert heading == title
    assert f'tracking-tight">{title}</a>' in page
    assert "_" not in title


@pytest.mark.parametrize("app", ["credits", "gifts", "internal_api", "service_events"])
def test_the_page_of_an_app_leads_to_the_dashboard(app: str, ada: Client) -> None:
    assert ada.get(f"/admin/{app}/")["Location"] == "/admin/"


def test_an_act_is_told_in_words(amir: Client) -> None:
    give("alice", 5)
    why = Justification("failed_operation", "No answer", "SUP-7")
    balance_adjustments.adjust(operator("sam"), "alice", Decimal(2), why=why, key=uuid4(), now=NOW)
    act = StaffAction.objects.latest("pk")

    moved = amir.get(f"/admin/credits/staffaction/{act.pk}/change/")["Location"]
    page = text(amir, moved)

    assert "sam: adjust balance" in page
    assert (
        "Reason An operation failed and was charged Note No answer Ticket SUP-7 Credits moved 2"
        in page
    )
    assert "StaffAction object" not in page
    assert amir.get(f"/admin/staff-action/{uuid4()}/").status_code == 404


def test_a_package_tells_its_history_in_words(amir: Client) -> None:
    made = packages.create(Offer("Plus", Decimal(1200), 999), actor="operator:o", now=NOW)
    packages.change(made.pk, Offer("Plus", Decimal(1200), 1099), actor="operator:o", now=NOW)
    expiring = Offer("Plus", Decimal(1200), 1099, expires_after_days=30)
    packages.change(made.pk, expiring, actor="operator:o", now=NOW)

    page = text(amir, f"/admin/package/{made.pk}/")

    assert "price €9.99 → €10.99 operator o" in page
    assert f"days until the credits expire {NOTHING} → 30 operator o" in page
    assert "name Plus; credits 1200; price €9.99; offered yes" in page
    assert "{" not in page.split("History")[1]


def test_a_form_shows_amounts_without_trailing_zeros() -> None:
    page = browser("fiona").get(f"/admin/package/{package().pk}/change/").content.decode()

    assert 'name="credits" value="500"' in page


def test_the_form_of_a_large_price_has_no_separators() -> None:
    Operation.objects.filter(pk="ai_chat_gpt4").update(cost=Decimal("1234.5"))

    page = browser("fiona").get("/admin/operation/ai_chat_gpt4/price/").content.decode()

    assert 'name="cost" value="1234.5"' in page


def test_the_dashboard_names_operations_in_words(amir: Client) -> None:
    give("alice", 50)
    spent = Priced("ai_chat_gpt4", 1)
    ledger.spend("alice", spent, memo=Memo("chat"), origin=Origin("user"))
    today = datetime.now(UTC).date()
    list(daily_totals.sum_days(today, today))

    page = text(amir, "/admin/")

    assert "By operation credits, 30 days GPT-4 message 5" in page
    assert "ai_chat_gpt4" not in page


def test_an_unknown_number_of_rows_is_not_called_zero(amir: Client) -> None:
    give("alice", 500)
    for _ in range(60):
        spend("alice", 1)

    page = text(amir, "/admin/credits/transaction/")

    assert "50 on this page, more follow" in page
    assert "of about 0" not in page


def test_short_words_of_a_list_stay_whole(amir: Client) -> None:
    package()
    give("alice", 500)
    spend("alice", 1, app_id="calendar")
    spend("alice", 1, app_id="x" * 60)

    page = amir.get("/admin/credits/transaction/").content.decode()

    assert '<span class="bo-words">calendar</span>' in page
    assert f">{'x' * 60}</td>" in page
    assert Package.objects.exists()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        *((0, "0 credits"), (1, "1 credit"), (Decimal("1.0000"), "1 credit")),
        *(
            (1200, "1,200 credits"),
            (Decimal("0.1"), "0.1 credits"),
            (Decimal("1.5"), "1.5 credits"),
        ),
    ],
)
def test_one_credit_is_singular(count: Decimal | int, expected: str) -> None:
    assert counted(count, "credit") == expected


def test_pages_tell_one_credit_and_one_day_in_the_singular(ada: Client) -> None:
    give("alice", 5)
    held = hold("alice", 1)
    sold = package(credits=1, expires_after_days=1)

    assert "1 credit held" in text(ada, f"/admin/reservation/{held.pk}/")
    assert "Starter: 1 credit for" in text(ada, f"/admin/package/{sold.pk}/")
    assert "1 credit each" in text(ada, "/admin/credits/operation/")
    assert "1 credit held" in text(ada, "/admin/account/?user=alice")
