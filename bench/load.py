"""Load generation with wrk: the scenarios, and running one of them."""

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench import cpu
from bench.cpu import Memory
from bench.database import USERS
from bench.environment import SERVICE_KEY
from bench.service import Service

LUA = Path(__file__).parent / "lua"
WARM_UP_SECONDS = 1


class Scenario(NamedTuple):
    """A kind of request; wrk runs `script` with `arguments`.

    `caller` is `service`, `user`, or `users` (their tokens are the script's arguments). A request
    does `each` of what is counted. `connections` replaces the number of connections of the run.
    """

    title: str
    caller: str
    script: str
    arguments: tuple[str, ...] = ()
    each: int = 1
    connections: int | None = None


SCENARIOS = {
    "balance": Scenario(
        "balance, service key, 10,000 users", "service", "balance.lua", (str(USERS),)
    ),
    "balance-token": Scenario("balance, token", "user", "get.lua", ("/api/v1/credits/balance",)),
    "use": Scenario("use, service key, 10,000 users", "service", "use.lua", (str(USERS),)),
    "use-hot": Scenario("use, service key, one hot user", "service", "use.lua", ("1",)),
    "use-key": Scenario(
        "use, new key each, 10,000 users", "service", "use.lua", (str(USERS), "key")
    ),
    "reserve-commit": Scenario(
        "reserve + commit, 10,000 users", "service", "reserve_commit.lua", (str(USERS),)
    ),
    "gift": Scenario("gift create + redeem", "users", "gift.lua"),
    "batch": Scenario(
        "use by batches of 1,000 with keys", "service", "batch.lua", (str(USERS),), 1000, 4
    ),
    "transactions": Scenario(
        "first page of transactions, token", "user", "get.lua", ("/api/v1/credits/transactions",)
    ),
}


class Run(NamedTuple):
    """One measurement: times in milliseconds, CPU in seconds per 1,000 requests."""

    title: str
    connections: int
    rate: float
    p50: float
    p99: float
    errors: int
    worker_cpu: float
    database_cpu: float
    memory: Memory

    @property
    def cpu(self) -> float:
        """Return the CPU seconds of the workers and PostgreSQL together."""
        return self.worker_cpu + self.database_cpu


def require_wrk() -> None:
    """Exit with a message if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing. Install the Debian package: apt install wrk")


def run(scenario: Scenario, service: Service, *, connections: int, seconds: float) -> Run:
    """Warm up, load the service for `seconds`, and return the measurement."""
    connections = scenario.connections or connections
    # The first requests open connections and prepare statements. They are not measured.
    _wrk(scenario, service, connections, WARM_UP_SECONDS)
    workers, postgres = cpu.seconds(service.master), cpu.seconds(service.postgres)
    result = _wrk(scenario, service, connections, seconds)
    workers = cpu.seconds(service.master) - workers
    postgres = cpu.seconds(service.postgres) - postgres
    done = result["requests"] * scenario.each
    thousands = done / 1000 or math.nan
    return Run(
        title=scenario.title,
        connections=connections,
        rate=done / result["seconds"],
        p50=result["p50"],
        p99=result["p99"],
        errors=int(result["errors"]),
        worker_cpu=workers / thousands,
        database_cpu=postgres / thousands,
        memory=cpu.memory(service.master),
    )


def _wrk(
    scenario: Scenario, service: Service, connections: int, seconds: float
) -> dict[str, float]:
    credential = (
        f"X-Service-Key: {SERVICE_KEY}"
        if scenario.caller == "service"
        else f"Authorization: Bearer {service.token}"
    )
    arguments = service.tokens if scenario.caller == "users" else scenario.arguments
    command = [
        # One thread, because wrk shares the cores with the service that is measured.
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{math.ceil(seconds)}s", "--timeout", "10s"),
        *("--header", credential, "--header", "Content-Type: application/json"),
        *("--script", scenario.script, service.url, "--", *arguments),
    ]
    finished = subprocess.run(
        command, cwd=LUA, check=True, capture_output=True, text=True, timeout=seconds + 60
    )
    marked = next(line for line in finished.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, float] = json.loads(marked.removeprefix("RESULT "))
    return result
