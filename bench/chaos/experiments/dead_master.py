"""gunicorn's master is killed, and a supervisor starts the next one at once."""

import time
from contextlib import suppress
from http.client import HTTPException

import psutil

from bench.chaos.experiment import Experiment
from bench.chaos.site import START_SECONDS, Site

ORPHAN_SECONDS = 6


def master_killed(site: Site) -> str:
    """Kill the master with SIGKILL, start another, and wait until it serves."""
    orphans = site.master.children()
    killed = time.monotonic()
    site.master.kill()
    site.masters[-1].wait()
    next_master = site.launch()
    _, alive = psutil.wait_procs(orphans, timeout=ORPHAN_SECONDS)
    ended = time.monotonic() - killed
    while time.monotonic() < killed + START_SECONDS and next_master.poll() is None:
        if _answers(site) and len(site.master.children()) == 2:
            break
        time.sleep(0.05)
    served = time.monotonic() - killed
    assert not alive, f"{len(alive)} workers outlived their master by {ORPHAN_SECONDS} s"
    assert next_master.poll() is None, "the next master did not start"
    return f"workers ended after {ended:.1f} s, the next master served after {served:.1f} s"


def _answers(site: Site) -> bool:
    with suppress(OSError, HTTPException):
        return site.ask("GET", "/health")[0] == 200
    return False


EXPERIMENTS = (Experiment("8", "kill -9 of gunicorn's master", master_killed, restart=True),)
