"""Ways to lose a server, and what the clients of the service notice."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench.chaos.bystanders import Crowd
from bench.failover.cluster import Cluster
from bench.failover.node import Node
from bench.failover.patroni import Member

LOAD_SECONDS = 3
AWAY_SECONDS = 4

# Loses a server, and returns what brings it back.
Loss = Callable[[Cluster, Node], Callable[[], None]]


class Failover(NamedTuple):
    """One failover: what happened to which server, what took over, and when, in seconds.

    From `confirmed_after` on a standby confirms, so movements are acknowledged again. `gaps` are
    the longest wait of any client, by its route.
    """

    loss: str
    lost: str
    promoted: str
    promoted_after: float
    confirmed_after: float
    gaps: Mapping[str, float]

    def line(self, number: int) -> str:
        """Return it as a row of a table."""
        seconds = (self.promoted_after, self.confirmed_after, *self.gaps.values())
        names = (str(number), f"{self.loss} {self.lost}", self.promoted)
        return f"| {' | '.join((*names, *(f'{one:.1f} s' for one in seconds)))} |"


def kill(servers: Cluster, node: Node) -> Callable[[], None]:
    """Kill a server with -9; bring it back as a standby."""
    node.kill()
    return lambda: servers.bring_back(node)


def cut(_: Cluster, node: Node) -> Callable[[], None]:
    """Cut a member's network; bring it back by restoring that."""
    assert isinstance(node, Member), "only a member of Patroni's has a network of its own"
    node.network.cut()
    return node.network.restore


def fail_over(servers: Cluster, crowds: Mapping[str, Crowd], lose: Loss) -> Failover:
    """Lose the primary, let a standby take over, and bring the lost server back; under load."""
    lost, begin = servers.primary, time.monotonic()
    bring_back = lose(servers, lost)
    servers.take_over()
    promoted = time.monotonic()
    servers.wait_until_confirmed()
    confirmed = time.monotonic()
    time.sleep(LOAD_SECONDS)
    bring_back()
    servers.wait_for_standbys(2)
    time.sleep(LOAD_SECONDS)
    return Failover(
        lose.__name__,
        lost.name,
        servers.primary.name,
        promoted - begin,
        confirmed - begin,
        _longest_waits(crowds, begin - 1),
    )


def without_standbys(servers: Cluster, crowds: Mapping[str, Crowd]) -> Mapping[str, float]:
    """Take both standbys away; return the longest wait of any client, by its route.

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
    return _longest_waits(crowds, begin)


def _longest_waits(crowds: Mapping[str, Crowd], begin: float) -> dict[str, float]:
    """Return the longest wait of any client since then, also of those who still wait."""
    now = time.monotonic()
    return {
        route: max(crowd.waited(begin, now) + crowd.waiting(now), default=0.0)
        for route, crowd in crowds.items()
    }
