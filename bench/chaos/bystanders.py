"""Clients that the disturbance should not affect. Their waiting times are measured."""

import json
import math
import threading
import time
import uuid
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any

from bench.chaos.site import Site
from bench.environment import SERVICE_KEY

PACE_SECONDS = 0.05
HEALTH_PACE_SECONDS = 0.1
ATTEMPT_SECONDS = 10
GIVE_UP_SECONDS = 60
CREDITS = "/api/v1/internal/credits/"


class Samples:
    """The duration of each request by the time at which it was sent."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, float]] = []

    def add(self, sent: float, seconds: float, pace: float) -> None:
        """Add a request, and the requests that its client could not send while it waited.

        Without them, a request that hangs for a minute would be one sample among hundreds
        (coordinated omission).
        """
        while seconds > 0:
            self.taken.append((sent, seconds))
            sent += pace
            seconds -= pace

    def between(self, begin: float, end: float) -> list[float]:
        """Return the durations of the requests sent in this interval, in ascending order."""
        return sorted(seconds for sent, seconds in self.taken if begin <= sent < end)


class Bystander(threading.Thread):
    """Spends one credit at a time with a new key, and retries each key until it is answered.

    With `reserves`, each spend is a reservation and its commit.
    """

    def __init__(self, site: Site, over: threading.Event, *, reserves: bool = False) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.over = over
        self.reserves = reserves
        self.samples = Samples()
        self.user_id = f"bystander-{uuid.uuid4().hex[:12]}"
        self.keys = 0
        self.waits_since: float | None = None
        self.answered: dict[str, set[str]] = {}
        self.failures: list[float] = []
        self.line = HTTPConnection("127.0.0.1", site.port, timeout=ATTEMPT_SECONDS)

    def run(self) -> None:
        """Spend until `over` is set. Retry the last key too until it is answered."""
        while not self.over.is_set():
            self.keys += 1
            sent = self.waits_since = time.monotonic()
            self._spend(f"key-{self.keys}", sent + GIVE_UP_SECONDS)
            self.waits_since = None
            self.samples.add(sent, time.monotonic() - sent, PACE_SECONDS)
            self.over.wait(PACE_SECONDS)
        self.line.close()

    def _spend(self, key: str, deadline: float) -> None:
        while time.monotonic() < deadline:
            try:
                transaction_id = self._attempt(key)
            except (OSError, HTTPException, ValueError):
                self.failures.append(time.monotonic())
                self.line.close()
                time.sleep(PACE_SECONDS)
            else:
                self.answered.setdefault(key, set()).add(transaction_id)
                return

    def _attempt(self, key: str) -> str:
        """Spend once and return the transaction's id. Raises an error without a 200."""
        if self.reserves:
            named = {"userId": self.user_id, "amount": 1, "reason": "a spend"}
            held = self._post("reserve", {**named, "idempotencyKey": key})
            answer = self._post("commit", {"reservationId": held["reservationId"]})
            return str(answer["transactionId"])
        named = {"userId": self.user_id, "amount": 1, "appId": "chaos"}
        body = {**named, "description": "a spend", "idempotencyKey": key}
        return str(self._post("use", body)["transaction"]["id"])

    def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"X-Service-Key": SERVICE_KEY, "Content-Type": "application/json"}
        self.line.request("POST", CREDITS + verb, json.dumps(body), headers)
        answer = self.line.getresponse()
        read = answer.read()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {read.decode()}")
        found: dict[str, Any] = json.loads(read)
        return found


class Orchestrator(threading.Thread):
    """Requests `/health` ten times a second, each on a new connection, as a health probe does."""

    def __init__(self, site: Site, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.over = over
        self.samples = Samples()
        self.failed = 0

    def run(self) -> None:
        """Probe until `over` is set. A probe without an answer counts with its duration."""
        while not self.over.wait(HEALTH_PACE_SECONDS):
            sent = time.monotonic()
            try:
                healthy = self.site.ask("GET", "/health", timeout=ATTEMPT_SECONDS)[0] == 200
            except (OSError, HTTPException):
                healthy = False
            self.failed += not healthy
            self.samples.add(sent, time.monotonic() - sent, HEALTH_PACE_SECONDS)


class Crowd:
    """Several bystanders and one orchestrator."""

    def __init__(self, site: Site, size: int, *, reserves: bool = False) -> None:
        self.site = site
        self.over = threading.Event()
        self.bystanders = [Bystander(site, self.over, reserves=reserves) for _ in range(size)]
        self.orchestrator = Orchestrator(site, self.over)

    def start(self) -> None:
        """Grant everybody credits and start the threads."""
        for bystander in self.bystanders:
            self.site.grant(bystander.user_id)
        for thread in (*self.bystanders, self.orchestrator):
            thread.start()

    def stop(self) -> None:
        """Stop all threads after their last keys are answered."""
        self.over.set()
        for thread in (*self.bystanders, self.orchestrator):
            thread.join()

    def waited(self, begin: float, end: float) -> list[float]:
        """Return the durations of the spends in this interval, in ascending order."""
        return self._sorted(lambda one: one.samples.between(begin, end))

    def waiting(self, now: float) -> list[float]:
        """Return the current waits of clients without an answer."""
        since = [one.waits_since for one in self.bystanders]
        return [now - sent for sent in since if sent is not None]

    def failed_attempts(self, begin: float = 0, end: float = math.inf) -> int:
        """Return how many attempts were refused or got no answer in this interval."""
        return sum(begin <= at < end for one in self.bystanders for at in one.failures)

    def unanswered(self) -> int:
        """Return the number of keys that were never answered."""
        return sum(one.keys - len(one.answered) for one in self.bystanders)

    def lost(self) -> int:
        """Return the number of acknowledged spends that are missing in the ledger."""
        return sum(len(_ids(one) - self._booked(one)) for one in self.bystanders)

    def doubled(self) -> int:
        """Return the number of spends beyond one per key, in the ledger or in the answers."""
        booked = sum(max(len(self._booked(one)) - one.keys, 0) for one in self.bystanders)
        return booked + sum(
            len(ids) > 1 for one in self.bystanders for ids in one.answered.values()
        )

    def _booked(self, one: Bystander) -> set[str]:
        statement = (
            "SELECT id::text FROM credits.transactions WHERE user_id = %s AND type = 'usage'"
        )
        return {row[0] for row in self.site.sql(statement, one.user_id)}

    def _sorted(self, of: Callable[[Bystander], list[float]]) -> list[float]:
        return sorted(seconds for one in self.bystanders for seconds in of(one))


def _ids(one: Bystander) -> set[str]:
    return {found for ids in one.answered.values() for found in ids}
