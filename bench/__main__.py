"""`make bench`: measure the cost of requests in the production configuration.

`python -m bench --help` lists the options. The service and its databases run on loopback. They are
created for the run and removed at the end.
"""

import argparse
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import against, database, floor, growth, load, report
from bench.against import Plan
from bench.floor import Floor
from bench.load import SCENARIOS, Run
from bench.service import serving
from mana_credits.dev.sandbox import identity
from mana_credits.dev.sandbox.identity import IdentityProvider

CONNECTIONS = (1, 16, 64)
RESULTS = Path(__file__).parent / "results" / "latest.md"


def main() -> None:
    """Run the chosen measurements and write the results page."""
    options = _options()
    load.require_wrk()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    key = identity.read_key(identity.new_key())
    with (
        database.server() as server_url,
        identity.serving(key) as provider,
        TemporaryDirectory(prefix="mana-credits-bench-") as logs,
    ):
        parts = [report.facts(database.version(server_url), options.seconds)]
        print(parts[0], flush=True)
        if options.against:
            plan = Plan(options.against, options.only, options.rounds, options.seconds)
            duels = against.compare(server_url, provider, plan, logs=Path(logs))
            parts.append(report.duels(duels))
            print(parts[-1])
        elif options.only:
            parts += _load(server_url, provider, options, Path(logs))
        for transactions in options.large:
            found = growth.compare(
                server_url,
                provider,
                transactions=transactions,
                seconds=options.seconds,
                logs=Path(logs),
            )
            parts.append(report.growth(found, transactions))
            print(parts[-1])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("# Cost of a request\n\n" + "\n\n".join(parts))
    print(f"Written to {options.output}")


def _load(
    server_url: str, provider: IdentityProvider, options: argparse.Namespace, logs: Path
) -> list[str]:
    runs: list[Run] = []
    floors: list[Floor] = []
    with database.database(server_url, "load") as url:
        with serving(url, provider, log=logs / "access.log") as service:
            for name in options.only:
                for connections in options.connections:
                    runs.append(
                        load.run(
                            SCENARIOS[name],
                            service,
                            connections=connections,
                            seconds=options.seconds,
                        )
                    )
                    print(report.line(runs[-1]), flush=True)
        for protocol in floor.PROTOCOLS:
            measured = floor.measure(
                url, database.process(url), protocol=protocol, seconds=options.seconds
            )
            floors += [measured] if measured else []
        closed = database.books_close(url)
    if not closed:
        raise SystemExit("The books do not close.")
    parts = [report.runs(runs), report.floors(floors)]
    print("\n" + "\n\n".join(parts))
    return parts


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5, help="load per run (5)")
    parser.add_argument(
        "--only", nargs="*", choices=SCENARIOS, default=list(SCENARIOS), help="scenarios (all)"
    )
    parser.add_argument(
        "--connections",
        nargs="+",
        type=int,
        default=CONNECTIONS,
        help="numbers of connections (1 16 64)",
    )
    parser.add_argument(
        "--large",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="also compare with ledgers of N transactions more (1000000 5000000)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="PATH",
        help="compare with another checkout, in turn, at 16 connections",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of --against (5)")
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"the page ({RESULTS.name})")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
