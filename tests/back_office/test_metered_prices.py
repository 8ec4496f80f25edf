"""Operators set prices by units; what cannot be compared or goes far waits for a second person."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from credits.catalogue.catalogue import AnyPrice, Price
from credits.catalogue.metered_prices import MeteredPrice
from credits.models import ActRequest, DailyTotal, Operation, Transaction
from mana_credits.back_office.acts import price_changes
from tests.back_office.operators import acts, browser, form, operator
from tests.back_office.test_second_person import decided, how
from tests.credits.test_metered_texts import ABOVE, OPERATION, USED, entries  # noqa: F401
from tests.factories import meter

pytestmark = pytest.mark.django_db

KEY = "ai_chat_gpt4"
PAGE = f"/admin/operation/{KEY}/"
BY_UNITS: dict[str, Any] = {"unit_costs": "inputTokens 0.4\noutputTokens 1.2\n", "minimum": "0.01"}


def price() -> tuple[Any, Any]:
    found = Operation.objects.get(pk=KEY)
    return found.cost, found.metering


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode()))


def waits(new: AnyPrice) -> bool:
    found = Operation.objects.get(pk=KEY)
    return price_changes.price_waits(found, new, now=datetime.now(UTC))


def age(**past: int) -> None:
    """Move the history of prices out of the window that is compared."""
    Operation.objects.get(pk=KEY).prices.update(changed_at=datetime.now(UTC) - timedelta(**past))


def by_units(cost: str = "1.2", **options: Any) -> MeteredPrice:
    costs = {"inputTokens": Decimal("0.4"), "outputTokens": Decimal(cost)}
    return MeteredPrice(costs, **options)


def test_a_first_price_by_units_waits_for_a_colleague() -> None:
    preview = browser("fiona").post(f"{PAGE}price/", form(**{**BY_UNITS, "confirmed": ""}))

    shown = text(preview)
    assert "Old price 5 credits each" in shown
    new = "New price credits per 1,000: 0.4 inputTokens, 1.2 outputTokens, at least 0.01"
    assert new in shown
    assert "At the new price unknown" in shown
    assert price() == (5, None)

    browser("fiona").post(f"{PAGE}price/", form(**BY_UNITS))

    asked = ActRequest.objects.get()
    assert asked.summary == (
        f"Price of {KEY}: 5 credits each → credits per 1,000: 0.4 inputTokens, 1.2 outputTokens, "
        "at least 0.01"
    )
    decided("ada", asked.pk)
    assert price() == (
        None,
        {
            "unitCosts": {"inputTokens": "0.4", "outputTokens": "1.2"},
            "minimum": "0.01",
            "mayOverdraw": False,
        },
    )
    assert any("inputTokens" in str(act.after.get("metering")) for act in acts())


def test_a_colleague_sees_each_price_and_what_may_overdraw() -> None:
    units = [f"unit{'X' * 50}{letter}" for letter in "abcdefghijklmnop"]
    costs = "\n".join(f"{unit} 0.{place + 11}" for place, unit in enumerate(units))
    fields: dict[str, Any] = {"unit_costs": costs, "minimum": "0.01", "may_overdraw": "on"}
    browser("fiona").post(f"{PAGE}price/", form(**fields))

    asked = ActRequest.objects.get()
    page = text(browser("ada").get(f"/admin/approvals/{asked.pk}/"))

    assert asked.summary.startswith(f"Price of {KEY}, which may overdraw: 5 credits each → ")
    assert f"1,000 {units[0]} 0.11" in page
    assert f"1,000 {units[-1]} 0.26" in page
    assert "At least 0.01" in page
    assert "May overdraw yes" in page


def test_a_near_price_by_units_is_set_at_once() -> None:
    meter()
    age(days=2)
    DailyTotal.objects.create(
        date=datetime.now(UTC).date() - timedelta(days=1),
        type="usage",
        app_id="chat",
        operation=KEY,
        credits_out=1000,
        transactions=7,
    )
    fields: dict[str, Any] = {
        "unit_costs": "inputTokens 0.4\noutputTokens 1.8",
        "minimum": "0.0001",
    }

    preview = text(browser("fiona").post(f"{PAGE}price/", form(**{**fields, "confirmed": ""})))
    answer = browser("fiona").post(f"{PAGE}price/", form(**fields))

    assert "Factor 1 to 1.5" in preview
    assert "1,000 credits in 7 uses" in preview
    assert "about 1,000 to 1,500 credits" in preview
    assert answer.status_code == 302
    assert price()[1]["unitCosts"]["outputTokens"] == "1.8"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (by_units(), False),
        (by_units("2.4"), False),
        (by_units("2.41"), True),
        (by_units("0.6"), False),
        (by_units("0.59"), True),
        (by_units(minimum=Decimal("0.0002")), False),
        (by_units(minimum=Decimal("0.0003")), True),
        (by_units(may_overdraw=True), True),
        (MeteredPrice({"inputTokens": Decimal("0.4")}), False),
        (MeteredPrice({"inputTokens": Decimal("0.4"), "imageTokens": Decimal(1)}), True),
        (Price(Decimal(5)), True),
    ],
)
def test_a_price_by_units_beyond_the_factor_waits(new: AnyPrice, expected: bool) -> None:
    meter()
    age(days=2)

    assert waits(new) == expected


def test_two_small_steps_of_a_unit_are_one_large_one() -> None:
    meter()
    age(days=2)
    meter(inputTokens="0.4", outputTokens="2")

    assert waits(by_units("2.3")) is False
    assert waits(by_units("2.5")) is True


def test_what_may_overdraw_already_may_go_on() -> None:
    meter(may_overdraw=True)
    age(days=2)

    assert waits(by_units("1.3", may_overdraw=True)) is False
    meter(may_overdraw=False)
    assert waits(by_units("1.3", may_overdraw=True)) is True


def test_the_form_starts_with_the_prices_by_units() -> None:
    meter(minimum="0.01", may_overdraw=True)

    page = browser("fiona").get(f"{PAGE}price/").content.decode()
    shown = text(browser("fiona").get(PAGE))

    assert "inputTokens 0.4\noutputTokens 1.2" in page
    assert 'value="0.0100"' in page or 'value="0.01"' in page
    assert "checked" in page
    now = "credits per 1,000: 0.4 inputTokens, 1.2 outputTokens, at least 0.01, may overdraw"
    assert now in shown
    assert f"version 2: 5 credits each → {now}" in shown
    assert "For each started" not in shown


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Enter credits, or credits per 1,000 units."),
        ({"cost": "1", **BY_UNITS}, "Enter credits, or credits per 1,000 units."),
        ({"per_items": "2", **BY_UNITS}, "A price by units has no batches."),
        ({"cost": "1", "minimum": "0.5"}, "Only a price by units has a minimum."),
        ({"cost": "1", "may_overdraw": "on"}, "Only a price by units may overdraw."),
        ({"unit_costs": "inputTokens"}, "is not a unit and a cost."),
        ({"unit_costs": "inputTokens 1 2"}, "is not a unit and a cost."),
        ({"unit_costs": "inputTokens 1\ninputTokens 2"}, "inputTokens has two costs."),
        ({"unit_costs": "inputTokens 0"}, "A price by units has 1 to 16 camelCase names"),
        ({"unit_costs": "inputTokens NaN"}, "A price by units has 1 to 16 camelCase names"),
        ({"unit_costs": "input_tokens 1"}, "A price by units has 1 to 16 camelCase names"),
        ({"unit_costs": "inputTokens 1", "minimum": "0"}, "greater than or equal to 0.0001"),
    ],
)
def test_an_invalid_price_is_explained(fields: dict[str, Any], message: str) -> None:
    answer = browser("fiona").post(f"{PAGE}price/", form(**fields))

    assert answer.status_code == 200
    assert message in text(answer)
    assert price() == (5, None)


def test_a_price_that_cannot_be_set_does_not_wait() -> None:
    page = "/admin/operation/cloud_sync/price/"

    answer = browser("fiona").post(page, form(**BY_UNITS))

    assert "charged by the month" in text(answer)
    assert not ActRequest.objects.exists()


def test_a_metered_operation_is_listed_withdrawn_and_offered_again() -> None:
    meter()
    fiona = browser("fiona")

    prices = text(fiona.get("/admin/credits/operation/"))
    assert "credits per 1,000: 0.4 inputTokens, 1.2 outputTokens" in prices
    assert "0.2 credits for each started 10" in prices
    fiona.post(f"{PAGE}off/", form())
    assert Operation.objects.get(pk=KEY).active is False
    price_changes.set_price(operator("fiona"), KEY, by_units(), **how())

    assert Operation.objects.get(pk=KEY).active


def test_operators_see_how_a_price_came_about(
    entries: list[Transaction],  # noqa: F811
) -> None:
    ada = browser("ada")

    shown = [
        text(ada.get(f"/admin/credits/transaction/{one.pk}/change/", follow=True))
        for one in entries
    ]
    timeline = text(ada.get("/admin/account/?user=alice"))

    assert f"{OPERATION} : {USED} (version 2)" in shown[2]
    assert f"{OPERATION} : {ABOVE} (version 2)" in shown[3]
    assert "Operation" not in shown[1]
    assert f"{OPERATION}: {USED}" in timeline
