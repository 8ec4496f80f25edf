"""Shared parts of commands: batches, progress, the summary, and the check of the books."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Protocol, TypeVar

from tqdm import tqdm

from credits.ledger import books
from credits.management.arguments import whole_number

SECONDS_BETWEEN_LINES = 5.0
USERS_PER_CHECK = 1_000

T = TypeVar("T")
Advance = Callable[[int], object]


class Output(Protocol):
    """The stream that a command writes lines to: its `stdout` or `stderr`."""

    def write(self, msg: str) -> object:
        """Write a line."""


def add_batch_size(parser: ArgumentParser, *, default: int, of: str) -> None:
    """Add `--batch-size`, the number of items (`of` names them) in one transaction."""
    parser.add_argument(
        "--batch-size", type=whole_number, default=default, help=f"{of} per batch ({default})"
    )


def add_apply(parser: ArgumentParser, *, default: bool = False) -> None:
    """Add `--apply` and `--dry-run`; `default` is the default of `--apply`."""
    choice = parser.add_mutually_exclusive_group()
    does, says = (" (the default)", "") if default else ("", " (the default)")
    choice.add_argument(
        "--apply", action="store_true", default=default, help=f"make the changes{does}"
    )
    choice.add_argument(
        "--dry-run", dest="apply", action="store_false", help=f"only report the changes{says}"
    )


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; only one list is in memory at a time."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


@contextmanager
def progress(what: str, *, total: int, unit: str) -> Iterator[Advance]:
    """Show the progress of `what` on standard error; call the yielded function with each count.

    A terminal gets a progress bar, other outputs a line every 5 seconds. With `total=0` nothing is
    shown.
    """
    if total and sys.stderr.isatty():
        with tqdm(total=total, desc=what, unit=f" {unit}", smoothing=0.1) as bar:
            yield bar.update
    else:
        yield _Lines(what, total, unit).advance


def summarise(out: Output, counts: Mapping[str, object]) -> None:
    """Write one line for each count, with thousands separators."""
    width = max(map(len, counts), default=0)
    for name, count in counts.items():
        text = f"{count:,}" if isinstance(count, int) else str(count)
        out.write(f"{name:<{width}}  {text}")


def check_books(users: Iterable[str], *, out: Output, total: int = 0) -> int:
    """Check the books of these users, write each discrepancy, and return their number.

    `total` is the number of users for the progress display, 0 if unknown.
    """
    wrong = 0
    with progress("Checking", total=total, unit="users") as advance:
        for batch in batches(users, USERS_PER_CHECK):
            found = [*books.check(batch), *books.orphans(batch)]
            for one in found:
                out.write(f"User {one.user_id}: {one.sentence} ({one.rule}).")
            wrong += len(found)
            advance(len(batch))
    return wrong


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = 0
        self._began = self._written = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        if self._total and time.monotonic() - self._written >= SECONDS_BETWEEN_LINES:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        rate = self._done / max(self._written - self._began, 0.001)
        left = max(self._total - self._done, 0) / rate if rate else 0
        sys.stderr.write(
            f"{self._what}: {self._done:,} of {self._total:,} {self._unit}, "
            f"{rate:,.0f}/s, {left:,.0f} s left\n"
        )
