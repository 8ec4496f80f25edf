"""gunicorn's master is killed, and a supervisor starts the next one at once."""

import time
from contextlib import suppress
from http.client import HTTPException

from bench.chaos.experiment import Experiment
from bench.chaos.site import START_SECONDS, Site
from mana_credits.dev.embedded_postgres import wait_until_ended

ORPHAN_SECONDS = 6
SERVED_WITHIN = 5


def master_killed(site: Site) -> str:
    """Kill the master with SIGKILL, start another at once, and wait until it serves requests."""
    orphans = site.master.children()
    killed = time.monotonic()
    site.master.kill()
    site.masters[-1].wait()
    next_master = site.launch()
    while time.monotonic() < killed + START_SECONDS and next_master.poll() is None:
        if len(site.master.children()) == len(orphans) and _answers(site):
            break
        time.sleep(0.02)
    served = time.monotonic() - killed
    alive = wait_until_ended(orphans, seconds=ORPHAN_SECONDS)
    ended = time.monotonic() - killed
    assert not alive, f"{len(alive)} workers outlived their master by {ORPHAN_SECONDS} s"
    assert next_master.poll() is None, "the next master did not start"
    assert served < SERVED_WITHIN, f"the next master served after {served:.1f} s"
    return f"the next master served after {served:.1f} s, workers ended after {ended:.1f} s"


def _answers(site: Site) -> bool:
    with suppress(OSError, HTTPException):
        return site.ask("GET", "/health", timeout=1)[0] == 200
    return False


EXPERIMENTS = (Experiment("8", "kill -9 of gunicorn's master", master_killed, restart=True),)
