"""`make chaos`: disturb the service in every way that was once seen to take it away.

`python -m bench.chaos --only 1 8` runs some of the experiments; `--tree FOLDER` runs the service of
another checkout, to compare. Everything is on loopback, bounded, and removed at the end.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import database, report
from bench.chaos import experiments
from bench.chaos.experiment import Experiment, Outcome, run
from bench.chaos.table import line, table
from mana_credits.dev.embedded_postgres import temporary_server
from mana_credits.dev.sandbox import identity

RESULTS = Path(__file__).parent.parent.resolve() / "results" / "chaos.md"


def main() -> int:
    """Run the experiments that were asked for; return 1 when an outcome is wrong."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.chdir(options.tree)
    chosen = [one for one in experiments.load() if _is_chosen(one, options.only)]
    outcomes: list[Outcome] = []
    key = identity.read_key(identity.new_key())
    with _database() as shared, identity.serving(key) as provider:
        facts = report.machine(database.version(shared))
        for experiment in chosen:
            print(f"{experiment.number} {experiment.name} …", flush=True)
            if experiment.own_server:
                with _database() as own:
                    outcomes.append(run(experiment, own, provider))
            else:
                outcomes.append(run(experiment, shared, provider))
            print(f"    {line(outcomes[-1])}", flush=True)
        closed = database.books_close(shared)
    page = f"# Chaos\n\n{facts}\n\n{table(outcomes)}"
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page)
    print(f"\n{page}\nWritten to {options.output}")
    return 0 if closed and not any(one.faults for one in outcomes) else 1


@contextmanager
def _database() -> Iterator[str]:
    """Yield the URL of a migrated database on a new server, with users who have credits."""
    with temporary_server() as server, database.database(server, "chaos") as url:
        yield url


def _is_chosen(experiment: Experiment, only: list[str]) -> bool:
    """Tell whether it was asked for by its number, with or without its letter."""
    number = experiment.number
    return not only or number in only or number.rstrip("abcdefgh") in only


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--only", nargs="*", default=[], help="numbers of experiments (all)")
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="whose service runs (this)")
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"the page ({RESULTS.name})")
    options = parser.parse_args()
    options.output = options.output.resolve()
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
