"""Two forms about one row act one after the other, and the second is refused as stale.

The state is compared under the row's lock: a check before the act would let both forms pass.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from credits.models import MoneyBack, Operation, OutboxMessage, Package, Purchase, StaffAction
from credits.outbox import outbox
from credits.roles import AUDITOR, SUPPORT
from gifts.models import GiftCode
from internal_api import service_keys
from internal_api.models import ServiceKey
from internal_api.service_keys import KeyTerms
from mana_credits.back_office.frame import stale_forms
from mana_credits.back_office.templatetags.office import NOTHING
from mana_credits.service_events import event_types, subscriptions
from tests.api import at_once
from tests.back_office.operators import acts, browser, form, operator
from tests.back_office.test_stale_forms import seen
from tests.credits.test_money_back import paid
from tests.factories import gift, give, package

NOW = datetime.now(UTC)
Forms = tuple[str, list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def one_person(settings: Any) -> None:
    """Let one operator set any price and refund any amount alone."""
    settings.ADMIN_PRICE_FACTOR = settings.ADMIN_ADJUST_LIMIT = Decimal(1_000_000)


def of_a_price() -> Forms:
    key = Operation.objects.earliest("key").pk
    return f"operation/{key}/price/", [{"cost": "7"}, {"cost": "8"}]


def of_a_package() -> Forms:
    fields = {"name": "A", "credits": "500", "sort_order": "1"}
    prices = ("699", "799")
    return f"package/{package().pk}/change/", [
        {**fields, "price_euro_cents": one} for one in prices
    ]


def of_a_gift() -> Forms:
    give("ivan", 20)
    made = gift("ivan", 5)
    ends = [NOW + timedelta(days=days) for days in (100, 110)]
    return f"gift/{made.pk}/extend/", [{"end": f"{end:%Y-%m-%dT%H:%M}"} for end in ends]


def of_a_refund() -> Forms:
    amounts = ("1.00", "2.00")
    return f"purchase/{paid().pk}/refund/", [{"amount": one, "reason": "asked"} for one in amounts]


def of_a_service_key() -> Forms:
    key = service_keys.create("chat", KeyTerms(["use"]), by="ada", now=NOW)[0]
    return f"service-key/{key.pk}/rotate/", [{"hours": "24"}, {"hours": "1"}]


def of_an_event_subscription() -> Forms:
    made, _ = subscriptions.create(
        "chat", "http://localhost:9/", event_types.ALL, by="ada", now=NOW
    )
    return f"event-subscription/{made.pk}/rotate/", [{"hours": "0"}, {"hours": "0"}]


def of_the_roles_of_an_operator() -> Forms:
    operator("sam")
    return "staff/roles/?name=sam", [{"roles": [AUDITOR]}, {"roles": [SUPPORT, AUDITOR]}]


def of_the_password_of_an_operator() -> Forms:
    operator("sam")
    passwords = ("a long enough one", "another long one")
    return "staff/password/?name=sam", [{"password": one} for one in passwords]


def of_an_adjustment() -> Forms:
    give("alice", 5)
    fields = {"reason": "goodwill"}
    return "account/adjust/?user=alice", [{**fields, "amount": one} for one in ("3", "4")]


MADE: dict[str, Callable[[], Forms]] = {
    "price": of_a_price,
    "package": of_a_package,
    "gift": of_a_gift,
    "refund": of_a_refund,
    "service key": of_a_service_key,
    "event subscription": of_an_event_subscription,
    "roles": of_the_roles_of_an_operator,
    "password": of_the_password_of_an_operator,
    "adjustment": of_an_adjustment,
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", MADE)
def test_the_second_of_two_tabs_is_refused_and_told_what_changed(name: str, settings: Any) -> None:
    settings.EVENT_HOSTS, settings.EVENT_HOSTS_MAY_BE_LOCAL = ["localhost:9"], True
    path, fields = MADE[name]()
    address = f"/admin/{path}"
    tab = browser("fiona" if name in CHANGES else "ada")
    forms = [form(**one, seen=seen(tab, address)) for one in fields]

    first, second = (tab.post(address, one) for one in forms)

    assert first.status_code == 302 or "only time that the secret is shown" in str(first.content)
    assert "This changed after you opened the form. It showed" in second.content.decode()
    assert acts().count() == 1


@pytest.mark.usefixtures("committed")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["price", "package", "gift", "adjustment"])
def test_of_two_tabs_at_once_one_acts(name: str) -> None:
    path, fields = MADE[name]()
    address = f"/admin/{path}"
    cookies = browser("fiona").cookies

    def tab() -> Client:
        client = Client()
        client.cookies = cookies
        return client

    shown = seen(tab(), address)
    forms = [form(**one, seen=shown) for one in fields]
    answers = at_once(2, lambda number: tab().post(address, forms[number]))

    assert sorted(answer.status_code for answer in answers) == [200, 302]
    (refused,) = [answer.content.decode() for answer in answers if answer.status_code == 200]
    assert "This changed after you opened the form" in refused
    assert StaffAction.objects.exclude(action="looked_at_account").count() == 1


def change_a_gift(path: str) -> None:
    GiftCode.objects.update(expires_at=NOW + timedelta(days=99))


def change_a_price(path: str) -> None:
    Operation.objects.filter(pk=path.split("/")[1]).update(cost=33)


def change_a_package(path: str) -> None:
    Package.objects.update(sort_order=77)


def change_a_refund(path: str) -> None:
    MoneyBack.objects.create(
        kind="refund",
        stripe_payment_intent_id=paid_payment(path),
        amount_cents=50,
        state="requested",
        created_at=NOW,
    )


def paid_payment(path: str) -> str:
    return Purchase.objects.get(pk=path.split("/")[1]).stripe_payment_intent_id or ""


CHANGES = {
    "price": change_a_price,
    "package": change_a_package,
    "gift": change_a_gift,
    "refund": change_a_refund,
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_after_the_pages_check_is_found_by_the_act(
    name: str, fiona: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, (fields, _) = MADE[name]()
    address = f"/admin/{path}"
    shown = seen(fiona, address)
    checked = stale_forms.refuse

    def check_and_change(*given: Any) -> bool:
        found = checked(*given)
        CHANGES[name](path)
        return found

    monkeypatch.setattr(stale_forms, "refuse", check_and_change)

    page = fiona.post(address, form(**fields, seen=shown)).content.decode()

    assert "This changed after you opened the form" in page
    assert not StaffAction.objects.exclude(action="looked_at_account").exists()


@pytest.mark.django_db
def test_what_changes_all_the_time_makes_no_form_stale(ada: Client) -> None:
    key = service_keys.create("chat", KeyTerms(["use"]), by="ada", now=NOW)[0]
    address = f"/admin/service-key/{key.pk}/revoke/"
    shown = seen(ada, address)
    ServiceKey.objects.update(last_used_at=NOW)

    answer = ada.post(address, form(seen=shown))

    assert answer.status_code == 302
    assert ServiceKey.objects.get().revoked_at


@pytest.mark.django_db
def test_a_message_that_was_sent_meanwhile_is_not_sent_again(ada: Client) -> None:
    outbox.tell("alice", {"body": "x"}, key="k", now=NOW)
    OutboxMessage.objects.update(status="dead")
    address = f"/admin/message/{OutboxMessage.objects.get().pk}/retry/"
    shown = seen(ada, address)
    OutboxMessage.objects.update(status="pending")

    page = ada.post(address, form(seen=shown)).content.decode()

    assert f"It showed “Status: dead; Next attempt: {NOTHING}”" in page
