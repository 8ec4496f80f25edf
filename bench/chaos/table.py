"""The outcomes as one table in Markdown."""

from collections.abc import Sequence

from bench import report
from bench.chaos.experiment import Outcome, percentile

HEADER = (
    "experiment",
    "others quiet p50 ms",
    "p95",
    "during p50 ms",
    "p95",
    "/health max ms",
    "unanswered",
    "lost",
    "doubled",
    "outcome",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table, and below it what each experiment saw."""
    seen = [f"- {one.experiment.number} {one.experiment.name}: {line(one)}" for one in outcomes]
    return report.table(HEADER, [_row(one) for one in outcomes]) + "\n" + "\n".join(seen) + "\n"


def line(outcome: Outcome) -> str:
    """Return what an experiment saw and what was wrong with it."""
    return "; ".join([*outcome.faults, outcome.seen or "nothing more"])


def _row(one: Outcome) -> tuple[str, ...]:
    return (
        f"{one.experiment.number} {one.experiment.name}",
        _milliseconds(one.quiet, 50),
        _milliseconds(one.quiet, 95),
        _milliseconds(one.during, 50),
        _milliseconds(one.during, 95),
        _milliseconds(one.health, 100),
        str(one.unanswered),
        str(one.lost),
        str(one.doubled),
        "WRONG" if one.faults else "right",
    )


def _milliseconds(ordered: Sequence[float], part: int) -> str:
    return f"{percentile(ordered, part) * 1000:,.0f}"
