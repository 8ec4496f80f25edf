"""Experiments: their definition, how they run, and how their outcome is judged."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import chain

from bench.chaos.bystanders import Crowd
from bench.chaos.site import Site
from mana_credits.dev.sandbox.identity import IdentityProvider

CROWD = 4
# Bystanders are observed this long before and again after the disturbance, because other work may
# slow the machine during one of the two.
QUIET_SECONDS = 4
SETTLE_SECONDS = 2
TIMES_QUIET = 3  # maximum of the disturbed 95th percentile, as a multiple of the quiet one
HEALTH_SECONDS = 0.1
# On a busy machine, waits below this are noise.
NOISE_SECONDS = 0.1


@contextmanager
def nobody() -> Iterator[dict[str, str]]:
    """Yield no additional environment: the experiment needs no other server."""
    yield {}


def nothing(_: Site) -> None:
    """Default for `prepare`: do nothing."""


@dataclass(frozen=True)
class Experiment:
    """A disturbance and the conditions that it needs.

    `disturb` runs the disturbance (at most a minute) and returns a short description of what it
    observed. It raises AssertionError if an observation is wrong. `prepare` runs before anybody is
    observed. `neighbours` are started before the service and yield additional environment
    variables. With `own_server`, the experiment has its own PostgreSQL server, which it may stop,
    freeze or break. With `reserves`, the bystanders reserve and commit.

    `outage`: the disturbance takes PostgreSQL away, which all requests need. The waits and refusals
    of bystanders are reported but not judged; `/health` is judged. `restart`: the service itself is
    down, and neither is judged.
    """

    number: str
    name: str
    disturb: Callable[[Site], str]
    prepare: Callable[[Site], None] = nothing
    neighbours: Callable[[], AbstractContextManager[dict[str, str]]] = nobody
    own_server: bool = False
    reserves: bool = False
    outage: bool = False
    restart: bool = False


@dataclass
class Outcome:
    """The result of one experiment. Waits are in seconds."""

    experiment: Experiment
    quiet: Sequence[float] = ()
    during: Sequence[float] = ()
    health_quiet: Sequence[float] = ()
    health: Sequence[float] = ()
    unanswered: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    seen: str = ""
    faults: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Add a fault for each value that is out of its limits."""
        if self.lost or self.doubled:
            self.faults.append(f"{self.lost} lost, {self.doubled} doubled")
        experiment = self.experiment
        if not (experiment.outage or experiment.restart):
            self._judge_waits()
        limit = max(HEALTH_SECONDS, percentile(self.health_quiet, 100))
        if percentile(self.health, 100) > limit and not experiment.restart:
            self.faults.append(f"/health over {limit * 1000:.0f} ms")

    def _judge_waits(self) -> None:
        if self.unanswered:
            self.faults.append(f"{self.unanswered} bystanders' keys never answered")
        if self.refused:
            self.faults.append(f"{self.refused} bystanders' requests refused")
        limit = max(TIMES_QUIET * percentile(self.quiet, 95), NOISE_SECONDS)
        if percentile(self.during, 95) > limit:
            self.faults.append(f"bystanders waited, p95 over {limit * 1000:.0f} ms")


def percentile(ordered: Sequence[float], part: int) -> float:
    """Return the percentile of sorted numbers, or NaN if there are none."""
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) * part // 100, len(ordered) - 1)]


def run(experiment: Experiment, database_url: str, provider: IdentityProvider) -> Outcome:
    """Run the experiment on a new service and return its outcome."""
    with experiment.neighbours() as environment:
        site = Site(database_url, provider, **environment)
        try:
            site.start()
            experiment.prepare(site)
            return _observe(experiment, site)
        finally:
            site.stop()


def _observe(experiment: Experiment, site: Site) -> Outcome:
    outcome = Outcome(experiment)
    crowd = Crowd(site, CROWD, reserves=experiment.reserves)
    crowd.start()
    time.sleep(1)  # the first requests open connections and import modules
    begin = time.monotonic()
    time.sleep(QUIET_SECONDS)
    disturbed = time.monotonic()
    try:
        outcome.seen = experiment.disturb(site)
    except AssertionError as error:
        outcome.faults.append(str(error))
    except Exception as error:  # noqa: BLE001  # the other experiments go on
        outcome.faults.append(f"{type(error).__name__}: {error}")
    end = time.monotonic()
    time.sleep(SETTLE_SECONDS + QUIET_SECONDS)
    crowd.stop()
    quiet = ((begin, disturbed), (end + SETTLE_SECONDS, end + SETTLE_SECONDS + QUIET_SECONDS))
    probes = crowd.orchestrator.samples
    outcome.quiet = sorted(chain.from_iterable(crowd.waited(*one) for one in quiet))
    outcome.health_quiet = sorted(chain.from_iterable(probes.between(*one) for one in quiet))
    outcome.during = crowd.waited(disturbed, end)
    outcome.health = probes.between(disturbed, end)
    outcome.unanswered, outcome.lost = crowd.unanswered(), crowd.lost()
    outcome.doubled = crowd.doubled()
    outcome.refused = crowd.failed_attempts(disturbed, end)
    outcome.judge()
    return outcome
