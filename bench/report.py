"""The measurements as a Markdown page."""

import os
import platform
import subprocess
import sysconfig
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.against import Duel
from bench.floor import CLIENTS, Floor
from bench.growth import Comparison, Growth
from bench.load import Run
from bench.service import workers_and_threads

RUN_HEADER = (
    "scenario",
    "connections",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "errors",
    "CPU s/1,000: workers",
    "PostgreSQL",
    "both",
    "worker RSS MB",
    "PSS MB",
)
FLOOR_HEADER = ("protocol", "spends/s", "mean ms", "CPU s/1,000: PostgreSQL")
DUEL_HEADER = (
    "scenario",
    "other/s",
    "this/s",
    "ratio",
    "CPU s/1,000: other",
    "this",
    "ratio",
    "p99 ms: other",
    "this",
    "errors",
)
GROWTH_HEADER = (
    "scenario",
    "CPU s/1,000: small",
    "large",
    "ratio",
    "of it PostgreSQL: small",
    "large",
    "requests/s: small",
    "large",
    "ratio",
    "errors",
)


def facts(postgres_version: str, seconds: float) -> str:
    """Return the machine and the parameters of the measurement."""
    return (
        f"{machine(postgres_version)} · gunicorn with {workers_and_threads()} · "
        f"{seconds:g} s per run · wrk on the same machine, its CPU not counted"
    )


def machine(postgres_version: str) -> str:
    """Return the time, commit and machine of the measurement."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = " with changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · commit {commit}{changed} · "
        f"{os.cpu_count()} cores ({_processor()}), load {os.getloadavg()[0]:.1f} before · "
        f"Python {interpreter()} · "
        f"PostgreSQL {postgres_version}"
    )


def interpreter() -> str:
    """Return the version of Python, and whether it was built with profile-guided optimisation."""
    built = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"{platform.python_version()} ({'' if built else 'not '}optimised)"


def runs(measured: Sequence[Run]) -> str:
    """Return the table of the service under load."""
    return table(RUN_HEADER, [_run_row(run) for run in measured])


def _run_row(run: Run) -> tuple[str, ...]:
    return (
        run.title,
        str(run.connections),
        f"{run.rate:,.0f}",
        f"{run.p50:.1f}",
        f"{run.p99:.1f}",
        str(run.errors),
        f"{run.worker_cpu:.3f}",
        f"{run.database_cpu:.3f}",
        f"{run.cpu:.3f}",
        f"{run.memory.rss:.0f}",
        f"{run.memory.pss:.0f}",
    )


def line(run: Run) -> str:
    """Return one run as a line for the terminal."""
    return (
        f"{run.title}, {run.connections} connections: {run.rate:,.0f}/s, p50 {run.p50:.1f} ms, "
        f"p99 {run.p99:.1f} ms, {run.errors} errors, CPU s/1,000 "
        f"{run.worker_cpu:.3f} + {run.database_cpu:.3f} = {run.cpu:.3f}"
    )


def duels(found: Sequence[Duel]) -> str:
    """Return the table of another checkout against this one; ratios are medians of the rounds."""
    title = "The other checkout, and this one, in turn (medians):\n\n"
    return title + table(DUEL_HEADER, [_duel_row(one) for one in found])


def _duel_row(one: Duel) -> tuple[str, ...]:
    return (
        one.title,
        *(_median([run.rate for run in runs], ",.0f") for runs in (one.other, one.ours)),
        f"{one.rate_ratio:.2f}",
        *(
            f"{_median([run.worker_cpu for run in runs], '.2f')} + "
            f"{_median([run.database_cpu for run in runs], '.2f')}"
            for runs in (one.other, one.ours)
        ),
        f"{one.cpu_ratio:.2f}",
        *(_median([run.p99 for run in runs], ".0f") for runs in (one.other, one.ours)),
        str(sum(run.errors for run in (*one.other, *one.ours))),
    )


def _median(values: list[float], form: str) -> str:
    return format(median(values), form) if values else "-"


def floors(measured: Sequence[Floor]) -> str:
    """Return the table of pgbench's runs."""
    rows = [
        (
            floor.protocol,
            f"{floor.rate:,.0f}",
            f"{floor.milliseconds:.1f}",
            f"{floor.database_cpu:.3f}",
        )
        for floor in measured
    ]
    title = f"`credits.post_transaction` alone, by pgbench with {CLIENTS} clients:\n\n"
    return title + table(FLOOR_HEADER, rows)


def growth(found: Growth, transactions: int) -> str:
    """Return the tables of the small and large ledger compared, and of the large one alone."""
    title = f"A small ledger, and one with {transactions:,} transactions more (medians):\n\n"
    chores = [(one.command, f"{one.seconds:,.1f}") for one in found.chores]
    sizes = [(one.table, f"{one.heap:.0f}", f"{one.indexes:.0f}") for one in found.sizes]
    return "\n".join(
        (
            title + table(GROWTH_HEADER, [_growth_row(one) for one in found.comparisons]),
            table(("on the large one", "s"), chores),
            table(("bytes a row", "table", "indexes"), sizes),
        )
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = [
        "-" * width if index == 0 else "-" * (width - 1) + ":" for index, width in enumerate(widths)
    ]
    padded = [
        [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (padded[0], rule, *padded[1:])) + "\n"


def _growth_row(one: Comparison) -> tuple[str, ...]:
    return (
        one.title,
        f"{median(run.cpu for run in one.small):.3f}",
        f"{median(run.cpu for run in one.large):.3f}",
        f"{one.cpu_ratio:.2f}",
        f"{median(run.database_cpu for run in one.small):.3f}",
        f"{median(run.database_cpu for run in one.large):.3f}",
        f"{median(run.rate for run in one.small):,.0f}",
        f"{median(run.rate for run in one.large):,.0f}",
        f"{one.rate_ratio:.2f}",
        str(sum(run.errors for run in (*one.small, *one.large))),
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*command: str) -> str:
    finished = subprocess.run(["git", *command], check=False, capture_output=True, text=True)
    return finished.stdout.strip()
