"""PostgreSQL accepts connections but does not answer."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from bench.chaos.experiment import Experiment
from bench.chaos.site import Site

FROZEN_SECONDS = 12
CLIENTS = 12  # more than the service has threads


def frozen(site: Site) -> str:
    """Freeze all PostgreSQL processes while more clients send requests than there are threads."""
    lines = [site.connect() for _ in range(CLIENTS)]
    with _stopped(site.postgres):
        for line in lines:
            line.sendall(b"GET /api/v1/credits/packages HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(FROZEN_SECONDS)
    for line in lines:
        line.close()
    return f"{CLIENTS} clients got no answer for {FROZEN_SECONDS} s"


@contextmanager
def _stopped(root: psutil.Process) -> Iterator[None]:
    """Stop a process and its children with SIGSTOP during the context."""
    processes = [root, *root.children(recursive=True)]
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


EXPERIMENTS = (
    Experiment("6d", "/health with PostgreSQL frozen", frozen, own_server=True, outage=True),
)
