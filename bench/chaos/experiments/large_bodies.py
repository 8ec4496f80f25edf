"""Bodies above the size limit."""

import json
import time
from http.client import HTTPConnection

from bench.chaos.experiment import Experiment
from bench.chaos.site import Site
from bench.environment import SERVICE_KEY

USE = "/api/v1/internal/credits/use"
SIZES = (256 * 1024 + 1, 300_000, 1_000_000, 5_000_000)
TIMES = 10


def too_large(site: Site) -> str:
    """Send bodies that are too large, each followed by a valid request."""
    line = HTTPConnection("127.0.0.1", site.port, timeout=20)
    for number in range(TIMES):
        size = SIZES[number % len(SIZES)]
        refused = _post(line, "x" * size)
        assert refused == (413, "close"), f"{size} bytes: {refused}"
        body = {"userId": "user-1", "amount": 1, "appId": "chaos", "description": "after a 413"}
        answered = _post(line, json.dumps(body))
        assert answered == (200, "keep-alive"), f"after {size} bytes: {answered}"
        time.sleep(0.2)
    line.close()
    return f"{TIMES} bodies of up to {SIZES[-1]:,} bytes: all 413, the next request answered"


def _post(line: HTTPConnection, content: str) -> tuple[int, str | None]:
    """Send a body. Return the status and the response's `Connection` header.

    http.client opens a new connection if the response announces that it closes this one.
    """
    headers = {"X-Service-Key": SERVICE_KEY, "Content-Type": "application/json"}
    line.request("POST", USE, content, headers)
    answer = line.getresponse()
    answer.read()
    return answer.status, answer.getheader("Connection")


EXPERIMENTS = (Experiment("11", "bodies that are too large", too_large),)
