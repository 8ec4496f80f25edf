"""The erasure of a user with a long history."""

import time

from bench import database
from bench.chaos.experiment import Experiment
from bench.chaos.site import Site

MOVEMENTS = 100_000
ANSWERED_WITHIN = 1
PATH = f"/api/v1/internal/credits/balance/{database.USER}"
LEFT = "SELECT count(*) FROM credits.balances WHERE user_id = %s"


def lengthen(site: Site) -> None:
    """Create the user's history."""
    database.grow(site.database_url, transactions=0, of_one_user=MOVEMENTS)


def erase(site: Site) -> str:
    """Request the erasure, and run the job that completes it."""
    began = time.monotonic()
    status, _, content = site.ask("DELETE", PATH, timeout=60)
    seconds = time.monotonic() - began
    told = f"{status} after {seconds:.1f} s for {MOVEMENTS:,} movements: {content.decode()}"
    assert status == 200, told
    assert seconds < ANSWERED_WITHIN, told
    worked = time.monotonic()
    ran = site.manage("erase_people", timeout=300)
    assert site.sql(LEFT, database.USER) == [(0,)], f"not erased: {ran.stderr[-500:]}"
    return f"{told}; erased {time.monotonic() - worked:.0f} s later by the job"


EXPERIMENTS = (
    Experiment("13", "erasure of a long history", erase, prepare=lengthen, own_server=True),
)
