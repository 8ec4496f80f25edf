"""The outcomes as a Markdown table, with those kept from earlier runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.chaos.experiment import Experiment, Outcome, percentile

Kept = dict[str, dict[str, Any]]


def keep(path: Path, column: str, outcome: Outcome) -> None:
    """Write an outcome into the file of all outcomes, replacing the previous one."""
    kept: Kept = json.loads(path.read_text()) if path.exists() else {}
    kept.setdefault(column, {})[outcome.experiment.number] = _numbers(outcome)
    path.write_text(json.dumps(kept, indent=1))


def table(path: Path, experiments: Sequence[Experiment]) -> str:
    """Return the table of all kept outcomes, followed by the observations."""
    kept: Kept = json.loads(path.read_text())
    header = ["experiment"]
    for column in kept:
        header += [
            f"{column}: bystanders p95 ms",
            "refused",
            "/health max ms",
            "lost + doubled",
            "outcome",
        ]
    shown = [one for one in experiments if any(one.number in rows for rows in kept.values())]
    rows = [
        [
            f"{one.number} {one.name}",
            *(cell for rows in kept.values() for cell in _cells(one, rows)),
        ]
        for one in shown
    ]
    seen = [
        f"- {one.number} {one.name}, {column}: {found[one.number]['line']}"
        for one in shown
        for column, found in kept.items()
        if one.number in found
    ]
    return report.table(header, rows) + "\n" + "\n".join(seen) + "\n"


def line(outcome: Outcome) -> str:
    """Return an experiment's faults and observations in one line."""
    return "; ".join([*outcome.faults, outcome.seen or "no observation"])


def _numbers(one: Outcome) -> dict[str, Any]:
    return {
        "quiet": _milliseconds(one.quiet, 95),
        "during": _milliseconds(one.during, 95),
        "refused": one.refused,
        "health": _milliseconds(one.health, 100),
        "wrong": f"{one.lost} + {one.doubled}",
        "outcome": "FAILED" if one.faults else "passed",
        "line": line(one),
    }


def _cells(experiment: Experiment, rows: Mapping[str, Any]) -> list[str]:
    """Return the cells of one experiment in one column."""
    if experiment.number not in rows:
        return ["", "", "", "", "not run"]
    found = rows[experiment.number]
    waits = f"{found['quiet']} → {found['during']}"
    return [waits, str(found["refused"]), found["health"], found["wrong"], found["outcome"]]


def _milliseconds(ordered: Sequence[float], part: int) -> str:
    return f"{percentile(ordered, part) * 1000:,.0f}"
