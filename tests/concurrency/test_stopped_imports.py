"""The import is stopped at each of its steps, and killed at any time."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from credits.models import Transaction
from gifts.models import GiftCode
from mana_credits.legacy_import import importer
from tests.api import at_once
from tests.importing import available, named, run
from tests.legacy import Earlier
from tests.running import database_of_the_test

pytestmark = pytest.mark.usefixtures("committed")

USERS = [f"user-{number}" for number in range(6)]


class Stopped(Exception):
    """Raised to end the run at this step."""


def live(earlier: Earlier, users: list[str]) -> None:
    """Create for each user a grant, a purchase, a gift, open rows and a fault."""
    for user, other in zip(users, [*users[1:], users[0]], strict=True):
        earlier.grant(user, 100)
        earlier.pay(earlier.purchase(user))
        earlier.redeem(earlier.gift(user, 10), other)
        earlier.reserve(user, 7)
        earlier.use(user, 3)
        earlier.lose_a_row(user, 1)


def balances(earlier: Earlier) -> dict[str, int]:
    return {user: row["balance"] for user, row in earlier.balances.items()}


@pytest.mark.slow
def test_a_run_that_stopped_at_any_step_is_completed_by_the_next(
    source: str, earlier: Earlier, report: Path
) -> None:
    live(earlier, USERS)
    earlier.flush(source)
    steps = left = 0
    genuine = importer._run

    def stopping(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped
        genuine(*arguments)

    with patch.object(importer, "_run", stopping):
        while True:
            left = steps
            try:
                code = run(source, "--apply", "--batch-size=2", report=report)
                break
            except Stopped:
                steps += 1

    assert (code, steps) == (0, 5 + 1 + 1 + 3 * 3 + 3)
    assert available() == balances(earlier)
    assert GiftCode.objects.filter(status="depleted").count() == 6
    assert named(report) == earlier.planted


@pytest.mark.slow
def test_a_killed_run_is_completed_by_the_next(source: str, earlier: Earlier, report: Path) -> None:
    live(earlier, [f"user-{number}" for number in range(400)])
    earlier.flush(source)
    delays = random.Random(4)
    command = [sys.executable, "-W", "ignore", "manage.py", "import_legacy", "--apply"]
    environment = {**os.environ, "DATABASE_URL": database_of_the_test()}

    killed = 0
    while killed < 3:
        process = subprocess.Popen(
            [*command, f"--source={source}", "--batch-size=5"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = Transaction.objects.count()
        while process.poll() is None and Transaction.objects.count() <= before:
            time.sleep(0.01)
        time.sleep(delays.uniform(0, 0.1))
        process.kill()
        assert process.wait() == -9
        killed += 1
    partly = Transaction.objects.count()

    assert run(source, "--apply", report=report) == 0
    assert 0 < partly < Transaction.objects.count()
    assert available() == balances(earlier)
    assert named(report) == earlier.planted


def test_two_imports_at_once_import_once(source: str, earlier: Earlier, tmp_path: Path) -> None:
    live(earlier, USERS)
    earlier.flush(source)

    codes = at_once(
        2, lambda index: run(source, "--apply", report=tmp_path / f"report-{index}.csv")
    )

    assert codes == [0, 0]
    assert available() == balances(earlier)


@pytest.mark.slow
def test_a_live_source_is_read_as_it_stood_at_one_moment(
    source: str, earlier: Earlier, report: Path
) -> None:
    live(earlier, USERS)
    earlier.flush(source)
    before = balances(earlier)
    genuine = importer.copy

    def meanwhile(url: str) -> Iterator[tuple[str, int]]:
        for table, rows in genuine(url):
            yield table, rows
            earlier.use("user-1", 2)
            earlier.flush(source)

    with patch.object(importer, "copy", meanwhile):
        code = run(source, "--apply", report=report)

    assert code == 0
    assert available() == before
    assert run(source, "--apply", report=report) == 0
    assert available() == balances(earlier) != before
