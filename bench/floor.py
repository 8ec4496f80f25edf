"""The lower bound: pgbench calls the function that writes the ledger, without the service."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import psutil

from bench import cpu
from bench.database import HERE, SQL, USERS
from mana_credits.dev import embedded_postgres

CLIENTS = 16
PROTOCOLS = ("simple", "prepared")


class Floor(NamedTuple):
    """One run of pgbench: spends per second, mean latency, CPU seconds per 1,000 spends."""

    protocol: str
    rate: float
    milliseconds: float
    database_cpu: float


def measure(
    url: str,
    postgres: psutil.Process | None,
    *,
    protocol: str,
    seconds: float,
    tree: Path = HERE,
) -> Floor | None:
    """Run pgbench with spends. Return None if pgbench is missing."""
    program = _pgbench()
    if program is None:
        return None
    before = cpu.seconds(postgres)
    finished = subprocess.run(
        [
            *(program, "--no-vacuum", "--client", str(CLIENTS), "--protocol", protocol),
            *("--time", str(round(seconds)), "--define", f"users={USERS}"),
            *("--file", str(tree / SQL / "floor.sql"), url),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    )
    spent = cpu.seconds(postgres) - before
    done = _number(finished.stdout, r"actually processed: (\d+)")
    return Floor(
        protocol,
        _number(finished.stdout, r"tps = ([\d.]+)"),
        _number(finished.stdout, r"latency average = ([\d.]+)"),
        spent / done * 1000,
    )


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def _pgbench() -> str | None:
    bundled = embedded_postgres.program("pgbench")
    return str(bundled) if bundled.exists() else shutil.which("pgbench")
