"""Charts show the right numbers with bars of the right height."""

from decimal import Decimal

import pytest

from mana_credits.back_office.frame import charts
from mana_credits.back_office.frame.charts import BOTTOM, HEIGHT, TOP, WIDTH, Chart, Series

GROUND = HEIGHT - BOTTOM


def chart(*values: int | Decimal, name: str = "sold") -> Chart:
    return charts.bars(
        "Credits",
        list(enumerate(values)),
        [Series(name, "a", lambda period: period[1])],
        label=lambda period: f"day {period[0]}",
        written=str,
    )


def test_the_highest_bar_stands_on_the_ground_and_reaches_its_mark() -> None:
    drawn = chart(50, 100)

    low, high = drawn.bars
    assert (high.y, high.y + high.height) == (TOP, GROUND)
    assert low.height == pytest.approx(high.height / 2, abs=0.1)
    assert [tick.text for tick in drawn.up] == ["0", "25", "50", "75", "100"]


def test_a_bar_says_its_period_value_and_series() -> None:
    drawn = chart(Decimal("1.5"))

    assert [bar.says for bar in drawn.bars] == ["day 0: 1.5 sold"]


def test_a_value_below_zero_hangs_below_the_line() -> None:
    drawn = chart(100, -50)

    gain, loss = drawn.bars
    assert gain.y + gain.height == pytest.approx(loss.y)
    assert loss.y + loss.height == pytest.approx(GROUND)


def test_nothing_is_drawn_for_zero_but_the_table_has_it() -> None:
    drawn = chart(0, 0)

    assert drawn.bars == []
    assert drawn.rows == [("day 0", ["0"]), ("day 1", ["0"])]


def test_there_are_few_names_and_the_last_is_one_of_them() -> None:
    drawn = chart(*range(1, 31))

    assert len(drawn.across) <= 8
    assert drawn.across[-1].text == "day 29"
    assert all(0 < tick.at < WIDTH for tick in drawn.across)


@pytest.mark.parametrize(
    ("most", "text"), [(3_000_000, "3M"), (2_000, "2k"), (7, "8"), (Decimal("0.4"), "0.4")]
)
def test_marks_are_round_and_short(most: int | Decimal, text: str) -> None:
    assert chart(most).up[-1].text == text


def test_series_stand_side_by_side() -> None:
    drawn = charts.bars(
        "Credits",
        [(4, 2)],
        [Series("sold", "a", lambda row: row[0]), Series("spent", "b", lambda row: row[1])],
        label=lambda row: "today",
        written=str,
    )

    sold, spent = drawn.bars
    assert sold.x + sold.width == pytest.approx(spent.x, abs=0.2)
    assert (sold.tone, spent.tone) == ("a", "b")
