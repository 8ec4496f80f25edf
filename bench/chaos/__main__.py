"""`make chaos`: repeat every disturbance that once made the service unavailable.

`python -m bench.chaos --only 1 8` runs some of the experiments. `--tree FOLDER --column before`
runs the service of another checkout for comparison. Outcomes are kept by column until the folder
`bench/results` is deleted. All processes run on loopback, for a limited time, and are removed at
the end.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import database, report
from bench.chaos import experiments
from bench.chaos.experiment import Experiment, run
from bench.chaos.table import keep, line, table
from bench.interruption import bounded
from mana_credits.dev.embedded_postgres import temporary_server
from mana_credits.dev.sandbox import identity
from mana_credits.dev.sandbox.identity import IdentityProvider

RESULTS = Path(__file__).parent.parent.resolve() / "results"
KEPT = RESULTS / "chaos.json"
LIMIT_SECONDS = 30 * 60


def main() -> int:
    """Run the chosen experiments. Return 1 if one of them failed."""
    options = _options()
    RESULTS.mkdir(parents=True, exist_ok=True)
    os.chdir(options.tree)
    chosen = [one for one in experiments.load() if _is_chosen(one, options.only)]
    key = identity.read_key(identity.new_key())
    with bounded(LIMIT_SECONDS), _database() as shared, identity.serving(key) as provider:
        facts = report.machine(database.version(shared))
        right = [_is_right(one, shared, provider, options.column) for one in chosen]
        closed = database.books_close(shared)
    page = f"# Chaos\n\n{facts}\n\n{table(KEPT, experiments.load())}"
    (RESULTS / "chaos.md").write_text(page)
    print(f"\n{page}\nWritten to {RESULTS / 'chaos.md'}")
    return 0 if closed and all(right) else 1


def _is_right(experiment: Experiment, shared: str, provider: IdentityProvider, column: str) -> bool:
    """Run an experiment, print and keep its outcome. Return whether it passed."""
    print(f"{experiment.number} {experiment.name} …", flush=True)
    if experiment.own_server:
        with _database() as own:
            outcome = run(experiment, own, provider)
    else:
        outcome = run(experiment, shared, provider)
    print(f"    {line(outcome)}", flush=True)
    keep(KEPT, column, outcome)
    return not outcome.faults


@contextmanager
def _database() -> Iterator[str]:
    """Yield the URL of a migrated database on a new server. Its users have credits."""
    with temporary_server() as server, database.database(server, "chaos") as url:
        yield url


def _is_chosen(experiment: Experiment, only: list[str]) -> bool:
    """Return whether the experiment is in `only`, by its number with or without the letter."""
    number = experiment.number
    return not only or number in only or number.rstrip("abcdefgh") in only


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--only", nargs="*", default=[], help="numbers of experiments (all)")
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="whose service runs (this)")
    parser.add_argument("--column", default="now", help="where the table has the outcomes (now)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
