"""This checkout against another one: both services run, and are loaded in turn.

The speed of a shared machine varies by the minute. Only short rounds side by side can be compared,
so a result is the median of the rounds' ratios.
"""

from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

import psutil

from bench import database, floor, load
from bench.cpu import Memory
from bench.load import SCENARIOS, Run
from bench.service import Service, serving
from mana_credits.dev.sandbox.identity import IdentityProvider

CONNECTIONS = 16
ONLY_HERE = frozenset({"batch"})  # what the other checkout may not have
T = TypeVar("T")
FLOOR = "`post_transaction` alone, pgbench"


class Duel(NamedTuple):
    """One scenario in both checkouts, round by round; without `other` rounds it is here alone."""

    title: str
    other: list[Run]
    ours: list[Run]

    @property
    def rate_ratio(self) -> float:
        """How many times as many requests per second this checkout answers."""
        return _ratio([one.rate for one in self.ours], [one.rate for one in self.other])

    @property
    def cpu_ratio(self) -> float:
        """CPU per request here, by that of the other checkout."""
        return _ratio([one.cpu for one in self.ours], [one.cpu for one in self.other])


class Plan(NamedTuple):
    """The other checkout, the scenarios, and how many rounds of how many seconds there are."""

    tree: Path
    names: list[str]
    rounds: int
    seconds: float


def compare(server_url: str, provider: IdentityProvider, plan: Plan, *, logs: Path) -> list[Duel]:
    """Load the service of the other checkout and this one in turn."""
    trees = (plan.tree, database.HERE)
    with ExitStack() as stack:
        services = []
        for name, root in zip(("other", "ours"), trees, strict=True):
            url = stack.enter_context(database.database(server_url, name, root))
            log = logs / f"{name}.log"
            services.append(stack.enter_context(serving(url, provider, log=log, tree=root)))
        found = [Duel(SCENARIOS[name].title, [], []) for name in plan.names]
        floors = Duel(FLOOR, [], [])
        for turn in range(plan.rounds):
            for name, duel in zip(plan.names, found, strict=True):
                _round(duel, name, services, turn, plan.seconds)
            for service, runs, root in _in_turn(services, floors, turn, trees):
                runs.extend(_floor(service, root, plan.seconds))
        return [*found, floors]


def _round(duel: Duel, name: str, services: list[Service], turn: int, seconds: float) -> None:
    for service, runs, is_other in _in_turn(services, duel, turn, (True, False)):
        if is_other and name in ONLY_HERE:
            continue
        run = load.run(SCENARIOS[name], service, connections=CONNECTIONS, seconds=seconds)
        runs.append(run)
    print(f"round {turn + 1}: {duel.title}: {duel.rate_ratio:.2f}", flush=True)


def _in_turn(
    services: list[Service], duel: Duel, turn: int, both: tuple[T, T]
) -> list[tuple[Service, list[Run], T]]:
    """Return both services, in an order that changes with each turn."""
    # Whichever comes first finds a cooler machine or a colder cache, so the order must not always
    # be the same.
    order = list(zip(services, (duel.other, duel.ours), both, strict=True))
    return order if turn % 2 == 0 else order[::-1]


def _floor(service: Service, tree: Path, seconds: float) -> list[Run]:
    postgres: psutil.Process | None = service.postgres
    found = floor.measure(
        service.database_url, postgres, protocol="prepared", seconds=seconds, tree=tree
    )
    if found is None:
        return []
    nothing = Memory(0, 0)
    mean = found.milliseconds
    return [Run(FLOOR, CONNECTIONS, found.rate, mean, mean, 0, 0, found.database_cpu, nothing)]


def _ratio(ours: list[float], other: list[float]) -> float:
    """Return the median of the rounds' ratios, NaN without rounds."""
    rounds = [mine / theirs for mine, theirs in zip(ours, other, strict=False)]
    return median(rounds) if rounds else float("nan")
