"""The import is stopped: at each of its steps, and by a kill at any moment."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from credits.legacy import importing
from credits.models import Transaction
from gifts.models import GiftCode
from tests.importing import available, named, run
from tests.legacy import Earlier
from tests.running import database_of_the_test

pytestmark = pytest.mark.usefixtures("committed")

USERS = [f"user-{number}" for number in range(6)]


class Stopped(Exception):
    """The run ends here."""


def live(earlier: Earlier, users: list[str]) -> None:
    """Give each user a grant, a purchase, a gift to the next one, something open and a wrong."""
    for user, other in zip(users, [*users[1:], users[0]], strict=True):
        earlier.grant(user, 100)
        earlier.pay(earlier.purchase(user))
        earlier.redeem(earlier.gift(user, 10), other)
        earlier.reserve(user, 7)
        earlier.use(user, 3)
        earlier.lose_a_row(user, 1)


def balances(earlier: Earlier) -> dict[str, int]:
    return {user: row["balance"] for user, row in earlier.balances.items()}


def test_a_run_that_stopped_at_any_step_is_completed_by_the_next(
    source: str, earlier: Earlier, report: Path
) -> None:
    live(earlier, USERS)
    earlier.flush(source)
    steps = left = 0
    genuine = importing._run

    def stopping(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped
        genuine(*arguments)

    with patch.object(importing, "_run", stopping):
        while True:
            left = steps
            try:
                code = run(source, "--apply", "--batch-size=2", report=report)
                break
            except Stopped:
                steps += 1

    assert (code, steps) == (0, 4 + 1 + 3 * 2 + 3)
    assert available() == balances(earlier)
    assert GiftCode.objects.filter(status="depleted").count() == 6
    assert named(report) == earlier.planted


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
