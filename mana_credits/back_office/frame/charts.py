"""Bar charts, drawn by the Chart.js that unfold brings, and as tables with the same numbers."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

# Charts have the size of their card, so that labels keep theirs.
OPTIONS = {
    "responsive": True,
    "maintainAspectRatio": False,
    "animation": False,
    "interaction": {"mode": "index", "intersect": False},
    "scales": {
        "x": {"grid": {"display": False}, "ticks": {"maxRotation": 0, "autoSkipPadding": 12}},
        "y": {"grid": {}, "border": {"display": False}, "ticks": {"maxTicksLimit": 6}},
    },
}
LEGEND = {"position": "top", "align": "end", "labels": {"boxWidth": 12, "boxHeight": 12}}


class Series(NamedTuple):
    """A series of bars: its name, its CSS colour, and its value for a period."""

    name: str
    colour: str
    value: Callable[[Any], Decimal | int]


class Chart(NamedTuple):
    """A chart: what Chart.js draws, as JSON, and the exact numbers as a table."""

    title: str
    series: Sequence[Series]
    data: str
    options: str
    rows: list[tuple[str, list[str]]]


def bars(
    title: str,
    periods: Sequence[Any],
    series: Sequence[Series],
    *,
    label: Callable[[Any], str],
    written: Callable[[Any], str],
) -> Chart:
    """Return a chart with a bar of each series for each period.

    `label` names a period, `written` formats a value for the table.
    """
    names = [label(period) for period in periods]
    sets = [_data_set(one, periods) for one in series]
    legend = LEGEND if len(series) > 1 else {"display": False}
    rows = [[written(one.value(period)) for one in series] for period in periods]
    return Chart(
        title,
        series,
        json.dumps({"labels": names, "datasets": sets}),
        json.dumps({**OPTIONS, "plugins": {"legend": legend}}),
        list(zip(names, rows, strict=True)),
    )


def _data_set(series: Series, periods: Sequence[Any]) -> dict[str, Any]:
    return {
        "label": series.name,
        # JSON has no decimals. The bars need no exactness: the table beside the chart has the exact
        # numbers.
        "data": [float(series.value(period)) for period in periods],
        # A CSS variable, so that the script can colour the chart again when the theme is switched
        # (static/back-office.js).
        "backgroundColor": f"var(--{series.colour})",
        "maxBarThickness": 28,
        "categoryPercentage": 0.85,
        "barPercentage": 0.95,
        "borderRadius": 2,
    }
