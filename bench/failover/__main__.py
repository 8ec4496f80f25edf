"""Failover under load without lost movements: `make rehearsal-standby`, `rehearsal-failover`.

Three PostgreSQL servers run on loopback, with one service for each route to the primary. Clients
spend with a new key each time and retry it until it is answered. The rehearsal kills all processes
of the primary with SIGKILL, promotes a standby, and makes the old primary a standby. Under Patroni,
it also cuts the primary's network. At the end it stops both standbys: the services must wait and
lose nothing.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.chaos.bystanders import Crowd
from bench.chaos.site import Site
from bench.failover import losses, patroni, verdict
from bench.failover.cluster import Cluster, cluster
from bench.failover.losses import LOAD_SECONDS, Failover
from bench.failover.point_in_time import Recovery
from bench.interruption import bounded
from mana_credits.dev.sandbox import identity

CLIENTS = 6
LIMIT_SECONDS = 15 * 60


def main() -> int:
    """Run the rehearsal and print the table. Return 1 if a movement was lost or doubled."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--failovers", type=int, default=4)
    options.add_argument("--patroni", action="store_true", help="under Debian's Patroni and etcd")
    chosen = options.parse_args()
    with bounded(LIMIT_SECONDS):
        if chosen.patroni:
            with patroni.cluster() as members:
                return rehearse(members, [losses.kill] * chosen.failovers + [losses.cut])
        with cluster() as servers:
            return rehearse(servers, [losses.kill] * chosen.failovers)


def rehearse(servers: Cluster, planned: list[losses.Loss]) -> int:
    """Lose the primary in the planned ways, then the standbys. Return the exit code."""
    verdict.run_python(servers.url, "manage.py", "migrate", "-v0")
    with _crowds(servers) as crowds:
        time.sleep(LOAD_SECONDS)
        faults = _restore(servers) if servers.archives else []
        done: list[Failover] = []
        for lose in planned:
            done.append(losses.fail_over(servers, crowds, lose))
            print(done[-1].line(len(done)), flush=True)
        alone = losses.without_standbys(servers, crowds)
        for crowd in crowds.values():
            crowd.stop()
        faults += verdict.faults(servers, crowds, done)
        print(verdict.table(servers, crowds, done, alone, faults))
    return 1 if faults else 0


@contextmanager
def _crowds(servers: Cluster) -> Iterator[dict[str, Crowd]]:
    """Run a service for each route to the primary. Yield its running clients by route."""
    key = identity.read_key(identity.new_key())
    with identity.serving(key) as provider, ExitStack() as stack:
        crowds = {}
        for route, url in servers.routes.items():
            site = Site(url, provider)
            stack.callback(site.stop)
            site.start()
            crowds[route] = Crowd(site, CLIENTS // len(servers.routes))
            crowds[route].start()
        yield crowds


def _restore(servers: Cluster) -> list[str]:
    """Restore a backup to a point in time under load. Return the faults of the result."""
    recovery = Recovery(servers)
    time.sleep(LOAD_SECONDS)
    recovery.mark()
    return recovery.faults()


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    sys.exit(main())
