"""Which processes a run of the sandbox started: kept in its folder, for the run after a kill -9.

A process is recognised by its number and the time at which it started, so that a number that the
system gave to another process since then stops nothing.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

RUNNER = "sandbox"
# The start time is computed from the machine's clock, which may have been corrected.
TOLERANCE_SECONDS = 2


class Started(NamedTuple):
    """One line of the record."""

    name: str
    pid: int
    at: float

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.at) < TOLERANCE_SECONDS
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class Record:
    """The processes of one folder's sandbox."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self) -> None:
        """Forget earlier runs and write down this process, which runs the sandbox."""
        self._write([_describe(RUNNER, os.getpid())])

    def add(self, name: str, pid: int) -> None:
        """Write down a process that this run started."""
        self._write([*self._read(), _describe(name, pid)])

    def clear(self) -> None:
        """Forget everything: all of it was stopped."""
        self._path.unlink(missing_ok=True)

    def orphan(self) -> psutil.Process | None:
        """Return the sandbox that runs here without the `make run` that started it."""
        for process in self._running(RUNNER):
            parent = process.parent()
            if parent is None or parent.pid == 1:
                return process
        return None

    def left(self) -> list[psutil.Process]:
        """Return the processes of earlier runs that still run, this one excepted."""
        return [one for one in self._running() if one.pid != os.getpid()]

    def _running(self, name: str = "") -> Iterator[psutil.Process]:
        for one in self._read():
            process = one.process()
            if process and name in {"", one.name}:
                yield process

    def _read(self) -> list[Started]:
        try:
            return [Started(*line) for line in json.loads(self._path.read_text())]
        except (OSError, ValueError, TypeError):
            return []

    def _write(self, lines: list[Started]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(lines))
        new.replace(self._path)


def stop(processes: list[psutil.Process], *, seconds: float) -> None:
    """Stop processes with SIGTERM; kill those that still run after so many seconds."""
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=seconds)


def _describe(name: str, pid: int) -> Started:
    return Started(name, pid, psutil.Process(pid).create_time())
