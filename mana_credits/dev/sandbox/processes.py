"""A record of the processes that a sandbox run started, for the next run after a kill -9.

A process is identified by its pid and its start time, because the system reuses pids.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from mana_credits.dev.embedded_postgres import wait_until_ended

RUNNER = "sandbox"
# The start time is computed from the machine's clock, which may have been corrected since.
TOLERANCE_SECONDS = 2


class Started(NamedTuple):
    """A line of the record. `make` is the pid of the `make run` that started the sandbox, or 0."""

    name: str
    pid: int
    at: float
    make: int = 0

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.at) < TOLERANCE_SECONDS
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class ProcessRecord:
    """The recorded processes of one folder's sandbox."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self) -> None:
        """Clear earlier runs and record this process, which runs the sandbox."""
        self._write([_describe(RUNNER, os.getpid())._replace(make=started_by_make())])

    def add(self, name: str, pid: int) -> None:
        """Record a process that this run started."""
        self._write([*self._read(), _describe(name, pid)])

    def clear(self) -> None:
        """Clear the record after all its processes have stopped."""
        self._path.unlink(missing_ok=True)

    def orphan(self) -> psutil.Process | None:
        """Return the running sandbox whose `make run` has ended, if there is one."""
        for one in self._read():
            process = one.process()
            if process and one.make not in {0, process.ppid()}:
                return process
        return None

    def left(self) -> list[psutil.Process]:
        """Return the processes of earlier runs that still run, except this one."""
        running = (one.process() for one in self._read())
        return [one for one in running if one and one.pid != os.getpid()]

    def _read(self) -> list[Started]:
        try:
            return [Started(*line) for line in json.loads(self._path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError):
            return []

    def _write(self, lines: list[Started]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(lines))
        # Replaced at once, so that a kill leaves no half-written record.
        new.replace(self._path)


def started_by_make() -> int:
    """Return the pid of the `make run` that started this process, or 0."""
    return os.getppid() if "MAKELEVEL" in os.environ else 0


def stop(processes: list[psutil.Process], *, seconds: float) -> None:
    """Stop processes with SIGTERM. Kill those that still run after `seconds`."""
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    alive = wait_until_ended(processes, seconds=seconds)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    wait_until_ended(alive, seconds=seconds)


def _describe(name: str, pid: int) -> Started:
    return Started(name, pid, psutil.Process(pid).create_time())
