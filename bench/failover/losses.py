"""Ways to lose a server, and their effect on the service's clients."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench.chaos.bystanders import Crowd
from bench.failover.cluster import Cluster
from bench.failover.node import Node
from bench.failover.patroni import Member

LOAD_SECONDS = 3
AWAY_SECONDS = 4

# Loses a server, and returns the function that brings it back.
Loss = Callable[[Cluster, Node], Callable[[], None]]


class Failover(NamedTuple):
    """One failover: the event, the servers, and the times in seconds.

    From `confirmed_after` on, a standby confirms, so that movements are acknowledged again. `gaps`
    has the longest wait of any client by route.
    """

    loss: str
    lost: str
    promoted: str
    promoted_after: float
    confirmed_after: float
    gaps: Mapping[str, float]

    def line(self, number: int) -> str:
        """Return the failover as a row of a table."""
        seconds = (self.promoted_after, self.confirmed_after, *self.gaps.values())
        names = (str(number), f"{self.loss} {self.lost}", self.promoted)
        return f"| {' | '.join((*names, *(f'{one:.1f} s' for one in seconds)))} |"


def kill(servers: Cluster, node: Node) -> Callable[[], None]:
    """Kill a server with SIGKILL. Return the function that makes it a standby."""
    node.kill()
    return lambda: servers.bring_back(node)


def cut(_: Cluster, node: Node) -> Callable[[], None]:
    """Cut a member's network. Return the function that restores it."""
    assert isinstance(node, Member), "only a member of Patroni's has a network of its own"
    node.network.cut()
    return node.network.restore


def fail_over(servers: Cluster, crowds: Mapping[str, Crowd], lose: Loss) -> Failover:
    """Lose the primary, wait for a successor, and bring the lost server back, under load."""
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
    """Stop both standbys. Return the longest wait of any client by route.

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
    return _longest_waits(crowds, begin)


def _longest_waits(crowds: Mapping[str, Crowd], begin: float) -> dict[str, float]:
    """Return the longest wait of any client since then, including current waits."""
    now = time.monotonic()
    return {
        route: max(crowd.waited(begin, now) + crowd.waiting(now), default=0.0)
        for route, crowd in crowds.items()
    }
