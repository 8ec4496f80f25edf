"""Prometheus metrics of the service, summed over all worker processes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import REGISTRY

from mana_credits.database_metrics import StateCollector

REQUESTS = Histogram(
    "mana_credits_request_duration_seconds",
    "Requests by method, route and status, with their duration.",
    ("method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


SUMMED = {"counter", "histogram"}


@cache
def requests(method: str, route: str, status: int) -> Histogram:
    """Return the histogram for a method, route and status."""
    return REQUESTS.labels(method, route, status)


STATE = CollectorRegistry()
STATE.register(StateCollector())


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return _of_processes() + generate_latest(STATE)


def retire(pid: int) -> None:
    """Add a dead process's counters to the totals of dead processes, and delete its gauges.

    Otherwise every restarted worker would leave files that each later scrape has to read.
    """
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    with _locked(folder, fcntl.LOCK_EX):
        for path in sorted(folder.glob(f"*_{pid}.db")):
            kind = path.stem.removesuffix(f"_{pid}")
            if kind in SUMMED:
                _add(path, folder / f"{kind}_dead.db")
            path.unlink()


def _of_processes() -> bytes:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    with _locked(Path(folder), fcntl.LOCK_SH):
        return generate_latest(registry)


def _add(counts: Path, total: Path) -> None:
    sums = MmapedDict(str(total))  # type: ignore[no-untyped-call]
    for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(counts)):  # type: ignore[no-untyped-call]
        sums.write_value(key, sums.read_value(key)[0] + value, timestamp)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Lock the folder, so that a scrape does not count a moving total twice or miss it."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, how)
        yield
