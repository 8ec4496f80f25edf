"""A form that changes nothing says so, and adds nothing to the audit trail or to the approvals."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from credits.amounts import plain
from credits.models import ActRequest, Operation, Package
from credits.roles import SUPPORT
from mana_credits.service_events import event_types, subscriptions
from tests.back_office.operators import acts, form, operator
from tests.factories import package

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
Form = tuple[str, dict[str, Any]]


def of_a_price() -> Form:
    found = Operation.objects.filter(metering__isnull=True).earliest("key")
    fields = {"cost": plain(found.cost), "per_items": found.per_items or ""}
    return f"operation/{found.pk}/price/", fields


def of_a_package() -> Form:
    found = package()
    return f"package/{found.pk}/change/", fields_of(found)


def of_a_cheap_package() -> Form:
    found = package()
    Package.objects.update(price_euro_cents=50)
    return f"package/{found.pk}/change/", {**fields_of(found), "price_euro_cents": "50"}


def fields_of(found: Package) -> dict[str, Any]:
    names = ("name", "description", "name_de", "description_de", "price_euro_cents", "sort_order")
    return {**{name: getattr(found, name) or "" for name in names}, "credits": plain(found.credits)}


def of_an_offered_package() -> Form:
    return f"package/{package().pk}/offer/?to=offered", {}


def of_roles() -> Form:
    operator("sam")
    return "staff/roles/?name=sam", {"roles": [SUPPORT]}


def of_an_active_operator() -> Form:
    operator("sam")
    return "staff/activate/?name=sam", {}


def of_an_operator_without_a_device() -> Form:
    operator("sam")
    return "staff/second-factor/?name=sam", {}


def of_an_active_subscription() -> Form:
    return f"event-subscription/{subscription()}/resume/", {}


def of_no_parked_messages() -> Form:
    return f"event-subscription/{subscription()}/replay/", {}


def subscription() -> str:
    made, _ = subscriptions.create(
        "chat", "http://localhost:9/", event_types.ALL, by="ada", now=NOW
    )
    return str(made.pk)


@pytest.mark.parametrize(
    "make",
    [
        *(of_a_price, of_a_package, of_a_cheap_package, of_an_offered_package, of_roles),
        *(of_an_active_operator, of_an_operator_without_a_device),
        *(of_an_active_subscription, of_no_parked_messages),
    ],
    ids=lambda make: make.__name__,
)
def test_nothing_is_recorded(make: Callable[[], Form], ada: Client, settings: Any) -> None:
    settings.EVENT_HOSTS, settings.EVENT_HOSTS_MAY_BE_LOCAL = ["localhost:9"], True
    path, fields = make()

    page = ada.post(f"/admin/{path}", form(**fields)).content.decode()

    assert "already in the requested state; nothing was changed" in page
    assert not acts().exists()
    assert not ActRequest.objects.exists()


def test_the_record_of_a_package_names_every_changed_value(ada: Client) -> None:
    found = package()

    ada.post(
        f"/admin/package/{found.pk}/change/",
        form(**{**fields_of(found), "expires_after_days": "30", "description_de": "Neu"}),
    )

    act = acts().get()
    changed = {name for name in act.after if act.after[name] != act.before[name]}
    assert changed == {"expires_after_days", "description_de"}
