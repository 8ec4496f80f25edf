"""`make rehearsal-failover`: kill the primary under load, and prove by keys that nothing is lost.

Three PostgreSQL servers on loopback, the service with all three in DATABASE_URL, clients who spend
with a key each and repeat it until it is answered. The primary and all its processes are killed
with -9, the standby that has received most is promoted, the dead one joins again. At last both
standbys are taken away: the service waits and loses nothing. Bounded in minutes.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench import report
from bench.chaos.bystanders import Crowd
from bench.chaos.site import Site
from bench.environment import ENVIRONMENT
from bench.failover.cluster import Cluster, cluster
from bench.failover.node import DATABASE
from bench.failover.point_in_time import Recovery
from mana_credits.dev.sandbox import identity

CLIENTS = 6
LOAD_SECONDS = 3
AWAY_SECONDS = 4
GAP_SECONDS = 30


class Failover(NamedTuple):
    """One failover: what was killed, what took over, the longest wait of any client."""

    killed: str
    promoted: str
    gap: float


def main() -> int:
    """Rehearse; print the table; return 1 when a movement was lost or doubled."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--failovers", type=int, default=4)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return rehearse(options.parse_args().failovers)


def rehearse(failovers: int) -> int:
    """Run the failovers and the outage of the standbys; return the exit code."""
    key = identity.read_key(identity.new_key())
    with cluster() as servers, identity.serving(key) as provider:
        manage(servers.url, "migrate", "-v0")
        site = Site(servers.url, provider)
        try:
            site.start()
            crowd = Crowd(site, CLIENTS)
            crowd.start()
            recovery = Recovery(servers)
            time.sleep(LOAD_SECONDS)
            recovery.mark()
            faults = recovery.faults()
            done = [fail_over(servers, crowd) for _ in range(failovers)]
            alone = without_standbys(servers, crowd)
            crowd.stop()
            faults += judge(servers, crowd, done)
        finally:
            site.stop()
        print(table(servers, crowd, done, alone, faults))
    return 1 if faults else 0


def fail_over(servers: Cluster, crowd: Crowd) -> Failover:
    """Kill the primary, promote a standby, let the dead one join again; all under load."""
    killed, begin = servers.primary, time.monotonic()
    killed.kill()
    servers.fail_over()
    time.sleep(LOAD_SECONDS)
    killed.rejoin(servers.primary, servers.sources)
    servers.wait_for_standbys(2)
    time.sleep(LOAD_SECONDS)
    waits = crowd.waited(begin - 1, time.monotonic())
    return Failover(killed.name, servers.primary.name, max(waits, default=0.0))


def without_standbys(servers: Cluster, crowd: Crowd) -> float:
    """Take both standbys away; return the longest wait of any client.

    Nothing is acknowledged meanwhile: a commit that only the primary has could still be lost.
    """
    begin = time.monotonic()
    for node in servers.standbys():
        node.kill()
    time.sleep(AWAY_SECONDS)
    for node in servers.standbys():
        node.start()
    servers.wait_for_standbys(1)
    time.sleep(LOAD_SECONDS)
    return max(crowd.waited(begin, time.monotonic()), default=0.0)


def judge(servers: Cluster, crowd: Crowd, done: list[Failover]) -> list[str]:
    """Return what is not as it has to be."""
    faults = []
    if crowd.lost() or crowd.doubled():
        faults.append(f"{crowd.lost()} movements lost, {crowd.doubled()} doubled")
    if unanswered := crowd.unanswered():
        faults.append(f"{unanswered} keys were never answered")
    faults += [f"a gap of {one.gap:.1f} s" for one in done if one.gap > GAP_SECONDS]
    servers.wait_until_equal()
    for node in servers.nodes:
        if discrepancies(node.dsn(DATABASE)):
            faults.append(f"the books on {node.name} do not close")
    return faults


def discrepancies(url: str) -> int:
    """Return how many discrepancies a server has; a standby can be asked too."""
    counting = "print(sum(len(found) for _, found in books.check_all(batch_size=1000)))"
    printed = manage(url, "shell", "-v0", "-c", f"from credits import books; {counting}")
    return int(printed.splitlines()[-1])


def manage(url: str, *command: str) -> str:
    """Run `manage.py` on this database, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", *command],
        env={**ENVIRONMENT, "DATABASE_URL": url},
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def table(
    servers: Cluster, crowd: Crowd, done: list[Failover], alone: float, faults: list[str]
) -> str:
    """Return what happened, as a page."""
    version = servers.primary.ask("SHOW server_version")
    keys = sum(one.keys for one in crowd.bystanders)
    repeated = sum(one.failed_attempts for one in crowd.bystanders)
    lines = [
        f"\n# Failover\n\n{report.machine(version)}\n",
        "| | killed | promoted | longest wait |",
        "|---|---|---|---:|",
        *(
            f"| {number} | {one.killed} | {one.promoted} | {one.gap:.1f} s |"
            for number, one in enumerate(done, 1)
        ),
        f"| both standbys away for {AWAY_SECONDS} s | | | {alone:.1f} s |",
        f"\n{keys} movements, each with its key; {repeated} attempts had to be repeated.",
        f"Lost: {crowd.lost()}. Doubled: {crowd.doubled()}.",
        *(
            [f"WRONG: {fault}" for fault in faults]
            or [
                "A backup was restored to a moment under load: nothing is missing or too much there.",
                "The books close on the primary and on both standbys.",
            ]
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    sys.exit(main())
