"""CPU time and memory of processes, from the kernel's counters."""

from contextlib import suppress
from typing import NamedTuple

import psutil

MEGABYTE = 1_000_000


class Memory(NamedTuple):
    """Memory of the largest worker in MB: RSS, and PSS, which splits shared pages."""

    rss: float
    pss: float


def seconds(root: psutil.Process | None) -> float:
    """Return the CPU seconds of `root` and its descendants, including ended ones; NaN for None."""
    if root is None:
        return float("nan")
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            # With the times of ended children: gunicorn replaces workers, and PostgreSQL has a
            # process per connection.
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(master: psutil.Process) -> Memory:
    """Return the memory of the master's largest worker."""
    workers = [worker.memory_full_info() for worker in master.children()]
    return Memory(
        rss=max(worker.rss for worker in workers) / MEGABYTE,
        pss=max(worker.pss for worker in workers) / MEGABYTE,
    )
