"""The auth server and Stripe hang or send slowly, and one user's balance stays locked."""

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.chaos.bystanders import CREDITS
from bench.chaos.experiment import Experiment
from bench.chaos.site import Site
from mana_credits.dev.sandbox.identity import IdentityProvider
from tests import slow_server
from tests.slow_server import SlowServer

ISSUER = "https://auth.chaos.test"
SIGNER = IdentityProvider(ISSUER, Ed25519PrivateKey.generate(), "warm")
LOCKED_SECONDS = 20
PATIENCE = 60
REFETCH_SECONDS = 30
auth: list[SlowServer] = []


@contextmanager
def hanging_auth() -> Iterator[dict[str, str]]:
    """Run an auth server that accepts connections and sends nothing."""
    with slow_server.serving(slow_server.hang) as server:
        yield {"MANA_AUTH_URL": server.url}


@contextmanager
def dripping_auth() -> Iterator[dict[str, str]]:
    """Run an auth server that publishes its keys, until an experiment slows it down."""
    keys = json.dumps(SIGNER.jwks()).encode()
    with slow_server.serving(slow_server.answering(keys)) as server:
        auth[:] = [server]
        yield {"MANA_AUTH_URL": server.url, "JWT_ISSUER": ISSUER}


@contextmanager
def hanging_stripe() -> Iterator[dict[str, str]]:
    """Run a Stripe server that accepts connections and sends nothing."""
    with slow_server.serving(slow_server.hang) as server:
        yield {"STRIPE_API_BASE": server.url}


def users_without_keys(site: Site) -> str:
    """Send 50 requests with user tokens in 5 seconds while no key is known."""
    token = site.provider.token("alice")
    return _burst(site, 50, 5, lambda _: _status(site, "GET", "balance", token))


def unknown_keys(site: Site) -> str:
    """Send tokens with unknown key ids while the auth server sends byte by byte."""
    known = SIGNER.token("alice")
    for _ in range(20):
        _status(site, "GET", "balance", known)
    auth[0].behave = slow_server.drip_body
    time.sleep(REFETCH_SECONDS)  # an unknown key is refused without a fetch until then
    forged = [
        IdentityProvider(ISSUER, Ed25519PrivateKey.generate(), secrets.token_hex(4)).token("eve")
        for _ in range(60)
    ]
    return _burst(site, 60, 15, lambda index: _status(site, "GET", "balance", forged[index]))


def buyers(site: Site) -> str:
    """Send 50 purchases by 50 users in 10 seconds."""
    package = site.sql(
        "INSERT INTO credits.packages (id, name, credits, price_euro_cents, active, sort_order, "
        "created_at, updated_at) VALUES (gen_random_uuid(), 'Chaos', 10, 499, true, 1, now(), "
        "now()) RETURNING id"
    )[0][0]
    tokens = [site.provider.token(f"buyer-{index}") for index in range(50)]
    body = {"packageId": str(package)}
    return _burst(site, 50, 10, lambda i: _status(site, "POST", "purchase", tokens[i], body))


def locked_balance(site: Site) -> str:
    """Send 60 uses by a user whose balance stays locked for 20 seconds."""
    return _locked(site, ["locked-user"], lambda index: _use(site, "locked-user", index))


def locked_balances(site: Site) -> str:
    """Send 120 uses by eight users whose balances stay locked for 20 seconds."""
    users = [f"locked-{number}" for number in range(8)]
    return _locked(site, users, lambda index: _use(site, users[index % 8], index), count=120)


def locked_reservations(site: Site) -> str:
    """Send 60 commits by a user whose balance stays locked for 20 seconds."""
    site.grant("locked-user")
    body = {"userId": "locked-user", "amount": 1, "reason": "chaos"}
    held = [json.loads(site.ask("POST", f"{CREDITS}reserve", body)[2]) for _ in range(60)]

    def commit(index: int) -> int:
        named = {"reservationId": held[index]["reservationId"]}
        return _code(lambda: site.ask("POST", f"{CREDITS}commit", named, timeout=PATIENCE)[0])

    return _locked(site, ["locked-user"], commit)


def _locked(site: Site, users: list[str], ask: Callable[[int], int], *, count: int = 60) -> str:
    for user in users:
        site.grant(user)
    with psycopg.connect(site.database_url) as line:
        line.execute("SELECT 1 FROM credits.balances WHERE user_id = ANY(%s) FOR UPDATE", [users])
        return _burst(site, count, LOCKED_SECONDS, ask)


def _use(site: Site, user_id: str, index: int) -> int:
    body = {"userId": user_id, "amount": 1, "appId": "chaos", "description": "d"}
    body["idempotencyKey"] = f"locked-{index}"
    return _code(lambda: site.ask("POST", f"{CREDITS}use", body, timeout=PATIENCE)[0])


def _burst(site: Site, count: int, seconds: float, ask: Callable[[int], int]) -> str:
    """Start `count` requests, evenly spread. Return the statuses (0: no answer)."""
    with ThreadPoolExecutor(count) as pool:
        asked = []
        for index in range(count):
            asked.append(pool.submit(ask, index))
            time.sleep(seconds / count)
        statuses = Counter(one.result() for one in asked)
    assert not statuses[0], f"{statuses[0]} requests got no answer within {PATIENCE} s"
    return ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items()))


def _status(site: Site, method: str, path: str, token: str, body: object = None) -> int:
    def ask() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        path_ = f"/api/v1/credits/{path}"
        return site.ask(method, path_, body, timeout=PATIENCE, **headers)[0]

    return _code(ask)


def _code(ask: Callable[[], int]) -> int:
    try:
        return ask()
    except (OSError, HTTPException):
        return 0


EXPERIMENTS = (
    Experiment("2a", "auth server hangs, no keys", users_without_keys, neighbours=hanging_auth),
    Experiment("2b", "slow auth server, unknown keys", unknown_keys, neighbours=dripping_auth),
    Experiment("3", "Stripe hangs", buyers, neighbours=hanging_stripe),
    Experiment("4a", "one locked balance", locked_balance),
    Experiment("4b", "one locked balance, reservations", locked_reservations, reserves=True),
    Experiment("4c", "eight locked balances", locked_balances),
)
