"""Charts show the right numbers, and their tables the same ones exactly."""

import json
from decimal import Decimal
from typing import Any

from django.test import Client
from django.utils.html import escape

from mana_credits.back_office.frame import charts
from mana_credits.back_office.frame.charts import Chart, Series


def chart(*values: int | Decimal, series: int = 1) -> Chart:
    return charts.bars(
        "Credits",
        list(enumerate(values)),
        [Series(f"series {at}", "series-a", lambda period: period[1]) for at in range(series)],
        label=lambda period: f"day {period[0]}",
        written=str,
    )


def drawn(one: Chart) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(one.data)
    return told


def test_a_bar_has_its_period_value_and_colour() -> None:
    told = drawn(chart(Decimal("1.5"), -2))

    assert told["labels"] == ["day 0", "day 1"]
    assert [one["data"] for one in told["datasets"]] == [[1.5, -2.0]]
    assert told["datasets"][0]["backgroundColor"] == "var(--series-a)"


def test_the_table_has_the_exact_values() -> None:
    value = Decimal("12345678901.2345")

    assert chart(value, 0).rows == [("day 0", [str(value)]), ("day 1", ["0"])]


def test_only_several_series_need_a_legend() -> None:
    alone, together = (json.loads(chart(1, series=count).options)["plugins"] for count in (1, 2))

    assert alone["legend"] == {"display": False}
    assert together["legend"]["position"] == "top"


def test_the_dashboard_carries_its_charts_as_data(amir: Client) -> None:
    page = amir.get("/admin/")

    for one in page.context["charts"]:
        assert f'data-value="{escape(one.data)}"' in page.content.decode()
