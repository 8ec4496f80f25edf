"""The result of a rehearsal: the check by keys, each server's books, the table."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

from bench import report
from bench.chaos.bystanders import Crowd
from bench.chaos.experiment import percentile
from bench.environment import ENVIRONMENT
from bench.failover.cluster import Cluster
from bench.failover.losses import AWAY_SECONDS, Failover
from bench.failover.node import DATABASE
from mana_credits.dev import database_roles

GAP_SECONDS = 30
RESTORED = ("A backup was restored to a moment under load: nothing is missing or too much.",)


def faults(servers: Cluster, crowds: Mapping[str, Crowd], done: Sequence[Failover]) -> list[str]:
    """Return a description of each failed expectation."""
    found = []
    for route, crowd in crowds.items():
        if crowd.lost() or crowd.doubled():
            found.append(f"{route}: {crowd.lost()} movements lost, {crowd.doubled()} doubled")
        if unanswered := crowd.unanswered():
            found.append(f"{route}: {unanswered} keys were never answered")
        gap = percentile(sorted(one.gaps[route] for one in done), 95)
        if gap > GAP_SECONDS:
            found.append(f"{route}: the 95th percentile of the gaps is {gap:.1f} s")
    servers.wait_until_equal()
    open_books = [node for node in servers.nodes if discrepancies(node.dsn(DATABASE))]
    return found + [f"the books on {node.name} do not close" for node in open_books]


def discrepancies(url: str) -> int:
    """Return the number of discrepancies of a server, which may be a standby."""
    return int(run_python(url, "-m", "bench.failover.discrepancies"))


def run_python(url: str, *command: str) -> str:
    """Run a Python program of the service on this database. Return its output."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        env={**ENVIRONMENT, **database_roles.environment(url)},
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def table(
    servers: Cluster,
    crowds: Mapping[str, Crowd],
    done: Sequence[Failover],
    alone: Mapping[str, float],
    found: Sequence[str],
) -> str:
    """Return the report as Markdown."""
    version = servers.primary.ask("SHOW server_version")
    routes = [f"longest wait: {route}" for route in crowds]
    header = ("", "lost", "promoted", "after", "a standby confirms after", *routes)
    waits = " | ".join(f"{seconds:.1f} s" for seconds in alone.values())
    lines = [
        f"\n# Failover\n\n{report.machine(version)}\n",
        f"| {' | '.join(header)} |",
        f"|---|---|---|{'---:|' * (len(routes) + 2)}",
        *(one.line(number) for number, one in enumerate(done, 1)),
        f"| | both standbys, for {AWAY_SECONDS} s | | | | {waits} |\n",
        *(_proof(route, crowd) for route, crowd in crowds.items()),
    ]
    if found:
        return "\n".join([*lines, *(f"WRONG: {fault}" for fault in found)])
    closed = "The books close on the primary and on both standbys."
    return "\n".join([*lines, closed, *(RESTORED if servers.archives else ())])


def _proof(route: str, crowd: Crowd) -> str:
    keys = sum(one.keys for one in crowd.bystanders)
    repeated = crowd.failed_attempts()
    return (
        f"{route}: {keys} movements, each with its key; {repeated} attempts had to be repeated. "
        f"Lost: {crowd.lost()}. Doubled: {crowd.doubled()}."
    )
