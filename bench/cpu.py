"""CPU seconds and memory of processes, as the kernel counts them."""

from contextlib import suppress
from typing import NamedTuple

import psutil

MEGABYTE = 1_000_000


class Memory(NamedTuple):
    """Of the largest worker, in MB: resident, and its share of what the workers share."""

    rss: float
    pss: float


def seconds(root: psutil.Process | None) -> float:
    """Return what `root` and its descendants, dead ones too, took so far; NaN without a root."""
    if root is None:
        return float("nan")
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(master: psutil.Process) -> Memory:
    """Return the memory of the largest of the master's workers."""
    workers = [worker.memory_full_info() for worker in master.children()]
    return Memory(
        rss=max(worker.rss for worker in workers) / MEGABYTE,
        pss=max(worker.pss for worker in workers) / MEGABYTE,
    )
