"""The keys of mana-auth: rarely fetched, and cached while it is down."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mana_credits.api import key_ring, tokens
from mana_credits.api.errors import ServiceUnavailable
from mana_credits.api.key_ring import KeyRing
from mana_credits.dev.sandbox.identity import IdentityProvider
from tests import slow_server
from tests.api import Caller, at_once
from tests.environment import PROVIDER
from tests.slow_server import SlowServer, serving


class AuthServer:
    """Publishes keys with the given ids and counts its requests."""

    def __init__(self) -> None:
        self.fetches = 0
        self.status = 200
        self.body = b""
        self.may_answer = Event()
        self.may_answer.set()
        self.publish("first")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.fetches += 1
                server.may_answer.wait(10)
                self.send_response(server.status)
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api/auth/jwks"

    def publish(self, *key_ids: str) -> None:
        sets = [IdentityProvider("i", Ed25519PrivateKey.generate(), one).jwks() for one in key_ids]
        self.body = json.dumps({"keys": [key for one in sets for key in one["keys"]]}).encode()

    def break_down(self) -> None:
        self.status = 500


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def auth() -> Iterator[AuthServer]:
    server = AuthServer()
    thread = Thread(target=server.http.serve_forever, args=[0.01])
    thread.start()
    yield server
    server.may_answer.set()
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(key_ring, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def ring(auth: AuthServer, clock: Clock) -> KeyRing:
    return KeyRing(auth.url)


def knows(ring: KeyRing, key_id: str) -> bool:
    key = ring.find(key_id)
    return key is not None and key.key_id == key_id


def wait_for_fetch(ring: KeyRing) -> None:
    """Wait until no fetch is running. Start none."""
    while under_way := ring._under_way:
        assert under_way.wait(60)


def test_the_keys_are_fetched_when_first_needed(ring: KeyRing, auth: AuthServer) -> None:
    before = auth.fetches
    found = [knows(ring, "first") for _ in range(3)]

    assert (before, found, auth.fetches) == (0, [True] * 3, 1)


def test_an_unknown_key_is_asked_for_once_per_30_seconds(
    ring: KeyRing, auth: AuthServer, clock: Clock
) -> None:
    fetches = []

    for seconds in (0, 29.9, 0.2, 0, 29.7, 0.4):
        clock.now += seconds
        assert not any(knows(ring, f"forged-{index}") for index in range(10))
        fetches.append(auth.fetches)

    assert fetches == [1, 1, 2, 2, 2, 3]


def test_a_new_key_is_picked_up_and_a_withdrawn_one_forgotten(
    ring: KeyRing, auth: AuthServer, clock: Clock
) -> None:
    assert knows(ring, "first")
    auth.publish("second")
    clock.now += 31

    assert knows(ring, "second")
    assert not knows(ring, "first")
    assert auth.fetches == 2


@pytest.mark.parametrize("passed", [31, 601, 86_400])
def test_known_keys_work_while_the_auth_server_is_down(
    ring: KeyRing, auth: AuthServer, clock: Clock, passed: int
) -> None:
    assert knows(ring, "first")
    auth.break_down()
    clock.now += passed

    assert knows(ring, "first")
    assert not knows(ring, "second")


def test_keys_are_fetched_anew_after_10_minutes_and_then_every_30_seconds_while_that_fails(
    ring: KeyRing, auth: AuthServer, clock: Clock
) -> None:
    assert knows(ring, "first")
    auth.break_down()
    fetches = []

    for seconds in (600, 1, 29, 1, 0):
        clock.now += seconds
        assert knows(ring, "first")
        wait_for_fetch(ring)
        fetches.append(auth.fetches)

    assert fetches == [1, 2, 2, 3, 3]


def test_without_any_key_it_is_tried_again_after_2_seconds(
    ring: KeyRing, auth: AuthServer, clock: Clock
) -> None:
    auth.break_down()
    for seconds in (0, 1.9, 0.2):
        clock.now += seconds
        with pytest.raises(ServiceUnavailable):
            ring.find("first")
    failed = auth.fetches
    auth.status = 200
    clock.now += 2

    assert knows(ring, "first")
    assert (failed, auth.fetches) == (2, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"keys":[]}',
        b'{"keys":5}',
        b'{"keys":[1]}',
        b'{"keys":[{"kty":"OKP"}]}',
        b'{"keys":[{"kty":"unheard of","kid":"first"}]}',
        b'{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"first","use":"sig","x":"AA"}]}',
        b'{"keys":{"kty":"OKP"}}',
        b"[" * 100_000,
        b'{"keys":' + b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_an_answer_that_holds_no_keys_counts_as_none(
    ring: KeyRing, auth: AuthServer, clock: Clock, body: bytes
) -> None:
    good, auth.body = auth.body, body
    with pytest.raises(ServiceUnavailable):
        ring.find("first")
    auth.body = good
    clock.now += 2
    assert knows(ring, "first")
    auth.body = body
    clock.now += 601

    assert knows(ring, "first")
    wait_for_fetch(ring)
    assert knows(ring, "first")
    assert auth.fetches == 3


def test_20_threads_at_the_start_fetch_once(ring: KeyRing, auth: AuthServer) -> None:
    found = at_once(20, lambda _: knows(ring, "first"))

    assert found == [True] * 20
    assert auth.fetches == 1


def test_nobody_with_a_known_key_waits_for_a_refresh(
    ring: KeyRing, auth: AuthServer, clock: Clock
) -> None:
    assert knows(ring, "first")
    clock.now += 601
    auth.may_answer.clear()

    found = [knows(ring, "first") for _ in range(3)]
    waiting = ring._under_way is not None
    auth.may_answer.set()
    wait_for_fetch(ring)

    assert (found, waiting, auth.fetches) == ([True] * 3, True, 2)


def test_a_failed_fetch_is_remembered_from_its_end(
    ring: KeyRing, auth: AuthServer, clock: Clock
) -> None:
    auth.break_down()
    auth.may_answer.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ring.find, "first")
        while auth.fetches < 1:
            time.sleep(0.005)
        clock.now += 2.5
        auth.may_answer.set()
        with pytest.raises(ServiceUnavailable):
            first.result()

    with pytest.raises(ServiceUnavailable):
        ring.find("first")
    clock.now += 1.9
    with pytest.raises(ServiceUnavailable):
        ring.find("first")

    assert auth.fetches == 1


@pytest.fixture
def slow_auth(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[SlowServer]:
    """Run an auth server with the keys `first`. One thread may wait for it, for a second."""
    settings.BULKHEADS = {**settings.BULKHEADS, "auth": 1}
    monkeypatch.setattr(key_ring, "FETCH_SECONDS", 1)
    keys = IdentityProvider("i", Ed25519PrivateKey.generate(), "first").jwks()
    with serving(slow_server.answering(json.dumps(keys).encode())) as server:
        yield server


def refused(ring: KeyRing, key_id: str) -> bool:
    try:
        ring.find(key_id)
    except ServiceUnavailable:
        return True
    return False


def test_without_keys_50_requests_make_one_fetch_and_one_of_them_waits(
    slow_auth: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "FETCH_SECONDS", 30)
    monkeypatch.setattr(key_ring, "FIRST_FETCH_SECONDS", 0)
    slow_auth.behave = slow_server.hang
    ring = KeyRing(slow_auth.url)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refused, ring, "first")
        while slow_auth.calls < 1:
            time.sleep(0.005)
        others = [refused(ring, "first") for _ in range(50)]
        still_waiting = not waiting.done()
        slow_auth.stopped.set()

    assert others == [True] * 50
    assert (still_waiting, waiting.result(), slow_auth.calls) == (True, True, 1)


@pytest.mark.parametrize("behave", [slow_server.drip_head, slow_server.drip_body])
@pytest.mark.slow
def test_a_dripping_auth_server_holds_up_nobody_with_a_known_key(
    slow_auth: SlowServer, behave: slow_server.Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(slow_auth.url)
    assert knows(ring, "first")
    slow_auth.behave = behave
    monkeypatch.setattr(key_ring, "REFETCH_SECONDS", 0)

    forged = [refused(ring, f"forged-{index}") for index in range(3)]
    known = [knows(ring, "first") for _ in range(10)]
    wait_for_fetch(ring)

    assert known == [True] * 10
    assert slow_auth.calls <= 1 + len(forged)


@pytest.mark.django_db
def test_without_any_key_a_user_is_asked_to_try_again(
    auth: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth.break_down()
    monkeypatch.setattr(tokens, "key_ring", KeyRing(auth.url))

    answer = Caller.with_token(PROVIDER.token("alice")).get("balance")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json() == {
        "statusCode": 503,
        "message": "The auth server cannot be reached",
        "code": "auth_unavailable",
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"alg": []},
        {"alg": {}},
        {"alg": 5},
        {"alg": "ES256"},
        {"alg": "unheard of"},
        {"kid": []},
        {"kid": {}},
        {"kid": 5},
        {"kid": ""},
        {"kid": None},
        {"kty": []},
        {"kty": "RSA"},
        {"crv": []},
        {"crv": "X25519"},
        {"x": []},
        {"x": 5},
        {"x": "é"},
        {"x": ""},
        {"x": None},
        {"use": []},
        {"use": "enc"},
    ],
    ids=repr,
)
def test_an_odd_key_is_passed_over(
    ring: KeyRing, auth: AuthServer, clock: Clock, changed: dict[str, Any]
) -> None:
    good = json.loads(auth.body)["keys"]
    auth.body = json.dumps({"keys": [{**good[0], "kid": "odd", **changed}]}).encode()
    with pytest.raises(ServiceUnavailable) as alone:
        ring.find("first")
    auth.body = json.dumps({"keys": [{**good[0], **changed}, *good]}).encode()
    clock.now += 2

    assert str(alone.value.detail) == "The auth server publishes no usable key"
    assert knows(ring, "first")
    assert ring.find("odd") is None


@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519", None])
def test_a_key_may_name_its_algorithm_in_either_way_or_not(
    ring: KeyRing, auth: AuthServer, algorithm: str | None
) -> None:
    keys = json.loads(auth.body)["keys"]
    auth.body = json.dumps({"keys": [{**keys[0], "alg": algorithm}]}).encode()

    assert knows(ring, "first")


def test_an_auth_server_without_a_usable_key_has_its_own_message(
    ring: KeyRing, auth: AuthServer, clock: Clock
) -> None:
    good, auth.body = auth.body, b'{"keys":[]}'
    messages = []

    for status in (200, 500, 200):
        auth.status = status
        with pytest.raises(ServiceUnavailable) as refused:
            ring.find("first")
        messages.append(str(refused.value.detail))
        clock.now += 2
    auth.body = good

    assert messages == [
        "The auth server publishes no usable key",
        "The auth server cannot be reached",
        "The auth server publishes no usable key",
    ]
    assert knows(ring, "first")
