"""Bar charts as geometry that a template renders as SVG, without JavaScript."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import ceil, floor, log10
from typing import Any, NamedTuple

WIDTH = 720
HEIGHT = 200
LEFT = 60
RIGHT = 24
BOTTOM = 26
TOP = 8


class Series(NamedTuple):
    """A series of bars: its name, its CSS class, and its value for a period."""

    name: str
    tone: str
    value: Callable[[Any], Decimal | int]


class Bar(NamedTuple):
    """A rectangle in the chart's units, and its text."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    says: str


class Tick(NamedTuple):
    """A tick of an axis: its position and its label."""

    at: float
    text: str


class Chart(NamedTuple):
    """Everything to draw, and the numbers as a table for screen readers."""

    title: str
    series: Sequence[Series]
    bars: list[Bar]
    across: list[Tick]
    up: list[Tick]
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

    `label` names a period, `written` formats a value. Bars of negative values extend below the
    axis.
    """
    values = [[one.value(period) for one in series] for period in periods]
    axis = _axis([float(value) for row in values for value in row])
    slot = (WIDTH - LEFT - RIGHT) / max(len(periods), 1)
    middles = [LEFT + (index + 0.5) * slot for index in range(len(periods))]
    names = [label(period) for period in periods]
    rows = [[written(value) for value in row] for row in values]
    width = min(slot * 0.8 / len(series), 22)
    drawn = [
        _bar(middles[at] + (place - len(series) / 2) * width, width, axis, value, one)._replace(
            says=f"{names[at]}: {rows[at][place]} {one.name}"
        )
        for at, row in enumerate(values)
        for place, (one, value) in enumerate(zip(series, row, strict=True))
        if value
    ]
    every = max(1, ceil(len(periods) / 8))
    across = list(map(Tick, middles, names))[(len(periods) - 1) % every :: every]
    return Chart(title, series, drawn, across, axis.ticks(), list(zip(names, rows, strict=True)))


class Axis(NamedTuple):
    """The values at the upper and the lower end of the chart, and the distance between ticks."""

    top: float
    bottom: float
    step: float

    def at(self, value: float) -> float:
        """Return the vertical position of a value, from the top."""
        return TOP + (self.top - value) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM)

    def ticks(self) -> list[Tick]:
        """Return the ticks."""
        marks = range(round((self.top - self.bottom) / self.step) + 1)
        values = [self.bottom + mark * self.step for mark in marks]
        return [Tick(self.at(value), _short(value)) for value in values]


def _bar(x: float, width: float, axis: Axis, value: Decimal | int, series: Series) -> Bar:
    ends = sorted((axis.at(float(value)), axis.at(0)))
    height = max(ends[1] - ends[0], 1.0)
    return Bar(round(x, 1), round(ends[0], 1), round(width, 1), round(height, 1), series.tone, "")


def _axis(values: Sequence[float]) -> Axis:
    """Return an axis with round limits and about four ticks."""
    most, least = max([0.0, *values]), min([0.0, *values])
    span = (most - least) or 4
    power = 10 ** floor(log10(span / 4))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= span / 4)
    top, bottom = ceil(most / step) * step, floor(least / step) * step
    return Axis(top if top > bottom else bottom + step, bottom, step)


def _short(value: float) -> str:
    """Return a shortened number for an axis: `1.5k`, `2M`."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
