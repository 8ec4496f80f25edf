"""`make rehearsal-failover`: kill the primary under load, and check by keys that nothing is lost.

Three PostgreSQL servers run on loopback. DATABASE_URL names all three. Clients spend with a new key
each time and retry it until it is answered. The rehearsal kills all processes of the primary with
SIGKILL, promotes the standby that has received most, and makes the old primary a standby. At the
end it stops both standbys: the service must wait and lose nothing. It takes a few minutes.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from bench import report
from bench.chaos.bystanders import Crowd
from bench.chaos.experiment import percentile
from bench.chaos.site import Site
from bench.environment import ENVIRONMENT
from bench.failover import patroni
from bench.failover.cluster import Cluster, cluster
from bench.failover.node import DATABASE
from bench.failover.point_in_time import Recovery
from mana_credits.dev.sandbox import identity

CLIENTS = 6
LOAD_SECONDS = 3
AWAY_SECONDS = 4
GAP_SECONDS = 30
RESTORED = ("A backup was restored to a point in time under load: no transaction differs.",)


class Failover(NamedTuple):
    """One failover: the killed and the promoted server, the time in between, the longest wait."""

    killed: str
    promoted: str
    promoted_after: float
    gap: float


def main() -> int:
    """Run the rehearsal and print the table. Return 1 if a movement was lost or doubled."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--failovers", type=int, default=4)
    options.add_argument("--patroni", action="store_true", help="under Debian's Patroni and etcd")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = options.parse_args()
    return rehearse(patroni.cluster() if chosen.patroni else cluster(), chosen.failovers)


def rehearse(made: AbstractContextManager[Cluster], failovers: int) -> int:
    """Run the failovers and the outage of the standbys. Return the exit code."""
    key = identity.read_key(identity.new_key())
    with made as servers, identity.serving(key) as provider:
        manage(servers.url, "migrate", "-v0")
        site = Site(servers.url, provider)
        try:
            site.start()
            crowd = Crowd(site, CLIENTS)
            crowd.start()
            time.sleep(LOAD_SECONDS)
            faults = restore(servers) if servers.archives else []
            done = [fail_over(servers, crowd) for _ in range(failovers)]
            alone = without_standbys(servers, crowd)
            crowd.stop()
            faults += judge(servers, crowd, done)
        finally:
            site.stop()
        print(table(servers, crowd, done, alone, faults))
    return 1 if faults else 0


def restore(servers: Cluster) -> list[str]:
    """Restore a backup to a point in time under load. Return the faults of the result."""
    recovery = Recovery(servers)
    time.sleep(LOAD_SECONDS)
    recovery.mark()
    return recovery.faults()


def fail_over(servers: Cluster, crowd: Crowd) -> Failover:
    """Kill the primary, promote a standby and make the old primary a standby, all under load."""
    killed, begin = servers.primary, time.monotonic()
    killed.kill()
    servers.take_over()
    promoted_after = time.monotonic() - begin
    time.sleep(LOAD_SECONDS)
    servers.bring_back(killed)
    servers.wait_for_standbys(2)
    time.sleep(LOAD_SECONDS)
    waits = crowd.waited(begin - 1, time.monotonic())
    gap = max(waits, default=0.0)
    return Failover(killed.name, servers.primary.name, promoted_after, gap)


def without_standbys(servers: Cluster, crowd: Crowd) -> float:
    """Stop both standbys for AWAY_SECONDS. Return the longest wait of any client.

    Meanwhile no commit is acknowledged, because one that only the primary has could be lost.
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
    """Return a description of each failed expectation."""
    faults = []
    if crowd.lost() or crowd.doubled():
        faults.append(f"{crowd.lost()} movements lost, {crowd.doubled()} doubled")
    if unanswered := crowd.unanswered():
        faults.append(f"{unanswered} keys were never answered")
    gap = percentile(sorted(one.gap for one in done), 95)
    if gap > GAP_SECONDS:
        faults.append(f"the 95th percentile of the gaps is {gap:.1f} s")
    servers.wait_until_equal()
    open_books = [node for node in servers.nodes if discrepancies(node.dsn(DATABASE))]
    return faults + [f"the books on {node.name} do not close" for node in open_books]


def discrepancies(url: str) -> int:
    """Return the number of discrepancies on a server, which may be a standby."""
    counting = "print(sum(len(found) for _, found in books.check_all(batch_size=1000)))"
    printed = manage(url, "shell", "-v0", "-c", f"from credits import books; {counting}")
    return int(printed.splitlines()[-1])


def manage(url: str, *command: str) -> str:
    """Run `manage.py` on this database and return its output."""
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
    """Return the report as Markdown."""
    version = servers.primary.ask("SHOW server_version")
    keys = sum(one.keys for one in crowd.bystanders)
    repeated = sum(one.failed_attempts for one in crowd.bystanders)
    lines = [
        f"\n# Failover\n\n{report.machine(version)}\n",
        "| | killed | promoted | after | longest wait of a client |",
        "|---|---|---|---:|---:|",
        *(
            f"| {number} | {one.killed} | {one.promoted} | "
            f"{one.promoted_after:.1f} s | {one.gap:.1f} s |"
            for number, one in enumerate(done, 1)
        ),
        f"| both standbys down for {AWAY_SECONDS} s | | | | {alone:.1f} s |",
        f"\n{keys} movements, each with a key; {repeated} attempts were retried.",
        f"Lost: {crowd.lost()}. Doubled: {crowd.doubled()}.",
        *(
            [f"FAILED: {fault}" for fault in faults]
            or [
                "The books close on the primary and on both standbys.",
                *(RESTORED if servers.archives else ()),
            ]
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    sys.exit(main())
