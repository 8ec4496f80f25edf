"""The progress of a command: a bar on a terminal, lines in a log."""

import sys
from argparse import ArgumentParser
from unittest.mock import patch

import pytest

from credits.management import progress
from credits.management.progress import add_apply, add_batch_size, batches, summarise


class Lines(list[str]):
    """A command's output."""

    def write(self, msg: str) -> None:
        self.append(msg)


def options(*given: str) -> dict[str, object]:
    parser = ArgumentParser()
    add_apply(parser)
    add_batch_size(parser, default=7, of="users")
    return vars(parser.parse_args(given))


def test_batches_are_full_but_for_the_last() -> None:
    assert list(batches(iter(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        patch.object(progress, "SECONDS_BETWEEN_LINES", 0),
        patch("time.monotonic", side_effect=[0, 2, 2, 4, 4]),
        progress.progress("Checking", total=4000, unit="users") as advance,
    ):
        advance(1000)
        advance(3000)

    assert capsys.readouterr().err.splitlines() == [
        "Checking: 1,000 of 4,000 users, 500/s, 6 s left",
        "Checking: 4,000 of 4,000 users, 1,000/s, 0 s left",
    ]


def test_a_short_run_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress("Checking", total=2, unit="users") as advance:
        advance(2)

    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        patch.object(sys.stderr, "isatty", return_value=True),
        progress.progress("Checking", total=2, unit="users") as advance,
    ):
        advance(2)

    assert "2/2" in capsys.readouterr().err


def test_a_summary_is_aligned_in_columns() -> None:
    lines = Lines()

    summarise(lines, {"users": 12_345, "was": "applied"})

    assert lines == ["users  12,345", "was    applied"]


def test_nothing_is_changed_unless_that_is_asked_for() -> None:
    assert options() == {"apply": False, "batch_size": 7}
    assert options("--dry-run")["apply"] is False
    assert options("--apply", "--batch-size=3") == {"apply": True, "batch_size": 3}


@pytest.mark.parametrize(
    "given", [("--apply", "--dry-run"), ("--batch-size=0",), ("--batch-size=many",)]
)
def test_these_options_are_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        options(*given)
