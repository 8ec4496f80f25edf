"""A test of the import: a large source with every known fault, and imports that are killed.

`python -m bench.legacy [--users 100000] [--rows 1000000] [--kills 2]` compares the report with the
planted faults, and the balances with those of the source.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.conninfo import make_conninfo

from bench.database import books_close, server
from bench.environment import ENVIRONMENT
from mana_credits.dev import database_roles
from tests.legacy import Earlier, Planted
from tests.legacy_database import Row, database

CHUNK = 2_000


def main() -> int:
    """Run the test. Return 0 if report and balances are as expected."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    with (
        server() as own,
        database(own, "legacy_source") as source,
        TemporaryDirectory() as folder,
    ):
        planted = _fill(source, options.users, options.rows)
        report = Path(folder) / "report.csv"
        command = ["import_legacy", f"--source={source}", f"--report={report}", "--apply"]
        _timed("one run", _target(own), command)
        target = _target(own)
        for kill in range(options.kills):
            _killed(target, command, share=(kill + 1) / (options.kills + 2), rows=options.rows)
        done = _timed("the last run", target, command) == 0
        good = _compare(planted, report, source, target)
        _timed("one more run", target, command)
    return int(not (done and good))


def _compare(planted: set[Planted], report: Path, source: str, target: str) -> bool:
    """Return whether report, balances and books are as expected. Print the differences."""
    named = _named(report)
    equal, users = _equal(source, target)
    closes = books_close(target)
    print(f"{len(named):,} findings; {len(planted - named)} missing, {len(named - planted)} extra")
    print(*sorted(map(str, planted ^ named))[:10], sep="\n")
    print(f"{equal:,} of {users:,} balances equal; the books {'' if closes else 'do not '}close")
    return planted == named and equal == users and closes


def _timed(what: str, target: str, command: list[str]) -> int:
    began = time.monotonic()
    code = _manage(target, *command).wait()
    print(f"{what} took {time.monotonic() - began:.0f} s and exited with {code}")
    return code


def _fill(source: str, users: int, rows: int) -> set[Planted]:
    """Fill the source database. Return the planted faults."""
    # A fixed seed: every run has the same users and the same faults.
    earlier, chance = Earlier(), random.Random(1)
    began = time.monotonic()
    # Ids that the earlier service accepted and this one does not.
    for nobody in ("", "x" * 8_000):
        earlier.serve_nobody(nobody)
    each = max(rows // users - 2, 1)
    for number in range(users):
        _live(earlier, f"user-{number:06}", chance, each)
        if number % CHUNK == CHUNK - 1 or number == users - 1:
            earlier.hand_over(source)
    with psycopg.connect(source) as connection:
        counted = connection.execute("SELECT count(*) FROM credits.transactions").fetchone()
        connection.execute("ANALYZE")
    print(
        f"{users:,} users, {(counted or (0,))[0]:,} transactions, {time.monotonic() - began:.0f} s"
    )
    return earlier.planted


def _live(earlier: Earlier, user: str, chance: random.Random, uses: int) -> None:
    """Create a user's history with randomly chosen known faults."""
    earlier.grant(user, 1_000)
    purchase = earlier.purchase(user)
    named = chance.random() < 0.9
    earlier.pay(purchase, named=named)
    for _ in range(chance.randint(1, 2 * uses - 1)):
        earlier.use(user, chance.randint(1, 5), app_id=chance.choice(("chat", "research")))
    gift = earlier.gift(user, 10) if chance.random() < 0.3 else None
    wrongs: dict[float, Callable[[], object]] = {
        0.01: lambda: earlier.pay(purchase, named=named),
        0.02: lambda: earlier.fail_after_paying(purchase),
        0.04: lambda: earlier.lose_a_row(user, chance.choice((-7, 3, 11))),
        0.06: lambda: earlier.lose_a_total(user, 2),
        0.08: lambda: earlier.grant_twice(user, 25),
        0.10: lambda: earlier.commit(_around(earlier, user)),
        0.14: lambda: earlier.reserve(user, 5),
        0.18: lambda: earlier.subscribe(user),
        0.20: lambda: earlier.purchase(user),
    }
    _happen(wrongs, chance)
    if gift:
        _end(earlier, gift, chance)


def _end(earlier: Earlier, gift: Row, chance: random.Random) -> None:
    """Redeem, cancel or expire the gift, or leave it active."""
    ends: dict[float, Callable[[], object]] = {
        0.5: lambda: earlier.redeem(gift, f"{gift['creator_id']}-friend"),
        0.6: lambda: earlier.cancel(gift),
        0.7: lambda: earlier.expire(gift, chance.choice(("active", "expired"))),
        0.72: lambda: earlier.forget_the_end(gift),
    }
    _happen(ends, chance)


def _happen(things: dict[float, Callable[[], object]], chance: random.Random) -> None:
    luck = chance.random()
    next((happens for limit, happens in things.items() if luck < limit), lambda: None)()


def _around(earlier: Earlier, user: str) -> Row:
    """Return a reservation with a use between its reservation and its commit."""
    reservation = earlier.reserve(user, 10)
    earlier.use(user, 1)
    return reservation


def _target(own: str) -> str:
    url = make_conninfo(own, dbname="legacy_target")
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS legacy_target WITH (FORCE)")
        connection.execute("CREATE DATABASE legacy_target")
    _manage(url, "migrate", "-v0").wait()
    return url


def _killed(target: str, command: list[str], *, share: float, rows: int) -> None:
    """Start an import, and kill it when about `share` of the rows is imported."""
    running = _manage(target, *command, quiet=True)
    with psycopg.connect(target, autocommit=True) as connection:
        there = 0
        while there < share * rows and running.poll() is None:
            time.sleep(0.2)
            found = connection.execute("SELECT coalesce(sum(last_number), 0) FROM credits.balances")
            there = int((found.fetchone() or (0,))[0])
    running.send_signal(signal.SIGKILL)
    print(f"killed with {there:,} transactions imported: exit code {running.wait()}")


def _named(report: Path) -> set[Planted]:
    with report.open(newline="", encoding="utf-8-sig") as file:
        return {
            (row["kind"], row["user_id"] or None, row["row_id"] or None)
            for row in csv.DictReader(file)
        }


def _equal(source: str, target: str) -> tuple[int, int]:
    """Return how many of the source's balances the target equals, and their number."""
    with psycopg.connect(source) as there, psycopg.connect(target) as here:
        held = here.execute("SELECT user_id, posted - held FROM credits.balances")
        ours: dict[str, Decimal] = dict(held.fetchall())
        theirs = there.execute(
            "SELECT user_id, balance FROM credits.balances WHERE length(user_id) BETWEEN 1 AND 255"
        ).fetchall()
    return sum(ours.get(user) == balance for user, balance in theirs), len(theirs)


def _manage(url: str, *command: str, quiet: bool = False) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "manage.py", *command],
        env={**os.environ, **ENVIRONMENT, **database_roles.environment(url)},
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
    )


if __name__ == "__main__":
    sys.exit(main())
