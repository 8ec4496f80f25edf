"""Operators add operations to the catalogue; a colleague confirms the first price."""

from decimal import Decimal
from typing import Any

import pytest

from credits.catalogue import catalogue
from credits.catalogue.catalogue import NewOperation, OperationExists, Price
from credits.catalogue.metered_prices import MeteredPrice
from credits.models import ActRequest, Operation
from mana_credits.back_office.acts import new_operations
from mana_credits.back_office.acts.act_requests import AlreadyRequested
from mana_credits.back_office.acts.audit import NotPermitted
from tests.api import Caller
from tests.back_office.operators import acts, browser, form, operator
from tests.back_office.test_metered_prices import text
from tests.back_office.test_second_person import decided, how, now

pytestmark = pytest.mark.django_db

PAGE = "/admin/new-operation/"
MUSIC = NewOperation("ai_music", "Music", "ai", "music", "A song of a minute")
FIELDS: dict[str, Any] = {
    "key_name": "ai_music",
    "name": "Music",
    "name_de": "Musik",
    "description": "A song of a minute",
    "category": "ai",
    "app": "music",
}


def sent(by: str = "fiona", **fields: str) -> Any:
    return browser(by).post(PAGE, form(**{**FIELDS, **fields}))


def test_a_new_operation_is_previewed_confirmed_and_offered(anonymous: Caller) -> None:
    preview = text(sent(cost="1.5", per_items="10", confirmed=""))
    assert "Category AI App music Price 1.5 credits for each started 10" in preview
    assert "waits for a colleague" in preview
    assert not ActRequest.objects.exists()

    answer = sent(cost="1.5", per_items="10")
    asked = ActRequest.objects.get()
    page = text(browser("ada").get(f"/admin/approvals/{asked.pk}/"))

    assert answer.status_code == 302
    assert asked.summary == "New operation ai_music: 1.5 credits for each started 10"
    assert "Act Create an operation Key ai_music Name Music German name Musik" in page
    assert "Price 1.5 credits for each started 10" in page
    assert not Operation.objects.filter(pk="ai_music").exists()
    decided("ada", asked.pk)
    created = Operation.objects.get(pk="ai_music")
    assert (created.description, created.prices.get().actor) == (
        "A song of a minute",
        "operator:ada",
    )
    offered = {one["operation"]: one["nameDe"] for one in anonymous.get("operations").json()}
    assert offered["ai_music"] == "Musik"
    record = acts().get(operator="ada")
    assert (record.subject, record.after["cost"], record.after["name"]) == (
        "operation:ai_music",
        "1.5",
        "Music",
    )


def test_a_new_operation_may_be_priced_by_units() -> None:
    sent(unit_costs="inputTokens 0.4", minimum="0.01", may_overdraw="on")

    asked = ActRequest.objects.get()
    page = text(browser("ada").get(f"/admin/approvals/{asked.pk}/"))
    decided("ada", asked.pk)

    assert asked.summary.startswith("New operation ai_music, which may overdraw: credits per 1,000")
    assert "1,000 inputTokens 0.4 At least 0.01 May overdraw yes" in page
    created = Operation.objects.get(pk="ai_music")
    assert catalogue.price_of(created) == MeteredPrice(
        {"inputTokens": Decimal("0.4")}, Decimal("0.01"), may_overdraw=True
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cost": "1", "key_name": "Ai-Music"}, "A key has 1 to 64 lower-case letters"),
        ({"cost": "1", "key_name": "pdf_export"}, "An operation with this key exists"),
        ({"cost": "1", "name": ""}, "This field is required."),
        ({"cost": "1", "app": ""}, "This field is required."),
        ({"cost": "1", "category": "toys"}, "Select a valid choice."),
        ({}, "Enter credits, or credits per 1,000 units."),
        ({"cost": "1", "per_items": "1000001"}, "A batch has 1 to 1,000,000 items"),
        ({"cost": "0"}, "greater than or equal to 0.0001"),
    ],
)
def test_an_invalid_operation_is_explained(fields: dict[str, str], message: str) -> None:
    answers = [sent(**fields, confirmed=confirmed) for confirmed in ("", "1")]

    assert all(message in text(answer) for answer in answers)
    assert not ActRequest.objects.exists()


def test_an_operation_is_requested_once_and_only_by_those_who_change_prices() -> None:
    fiona, price = operator("fiona"), Price(Decimal(1))
    new_operations.request_operation(fiona, MUSIC, price, **how())

    with pytest.raises(AlreadyRequested):
        new_operations.request_operation(fiona, MUSIC, price, **how())
    with pytest.raises(NotPermitted):
        new_operations.request_operation(operator("sam"), MUSIC, price, **how())
    assert sent("sam", cost="1").status_code == 403
    assert "New operation" not in text(browser("sam").get("/admin/credits/operation/"))
    assert "New operation" in text(browser("fiona").get("/admin/credits/operation/"))


def test_a_request_whose_key_was_taken_meanwhile_stays_pending() -> None:
    asked = new_operations.request_operation(operator("fiona"), MUSIC, Price(Decimal(1)), **how())
    catalogue.create_operation(MUSIC, Price(Decimal(2)), actor="system", now=now())

    with pytest.raises(OperationExists):
        decided("ada", asked.pk)

    asked.refresh_from_db()
    assert asked.status == "pending"
    assert Operation.objects.get(pk="ai_music").cost == 2
