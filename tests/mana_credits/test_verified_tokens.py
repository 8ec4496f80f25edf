"""A recently verified token is accepted again without verification, until it expires."""

import time
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from rest_framework.exceptions import AuthenticationFailed

from credits.principals import User
from mana_credits.api import tokens, verified_tokens
from mana_credits.api.verified_tokens import (
    KEPT_SECONDS,
    LARGEST_COUNT,
    VerifiedToken,
    VerifiedTokens,
)
from mana_credits.dev.sandbox.identity import IdentityProvider, new_key, read_key
from tests.environment import PROVIDER

ALICE = User(id="alice")
NOW = 1_000_000_000


class Ring:
    """A key ring whose keys tests can replace."""

    def __init__(self) -> None:
        self.key: jwt.PyJWK | None = published_key()

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        return self.key


def published_key() -> jwt.PyJWK:
    provider = IdentityProvider("http://auth.test", read_key(new_key()))
    return jwt.PyJWK(provider.jwks()["keys"][0])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return NOW + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(verified_tokens, "time", SimpleNamespace(monotonic=clock, time=clock))
    return clock


def kept(ring: Ring, *, expires: int) -> VerifiedTokens:
    """Return a cache with one token of Alice named `token`."""
    assert ring.key
    memory = VerifiedTokens(ring)  # type: ignore[arg-type]
    memory.keep("token", VerifiedToken(ALICE, ring.key, expires))
    return memory


def test_a_token_is_known_until_it_expires(clock: Clock) -> None:
    memory = kept(Ring(), expires=NOW + 10)

    found = []
    for clock.now in (0, 9.9, 10):
        found.append(memory.find("token"))

    assert found == [ALICE, ALICE, None]


def test_a_token_is_verified_again_after_a_minute(clock: Clock) -> None:
    memory = kept(Ring(), expires=NOW + 3600)

    found = []
    for clock.now in (KEPT_SECONDS - 0.1, KEPT_SECONDS):
        found.append(memory.find("token"))

    assert found == [ALICE, None]


@pytest.mark.parametrize("successor", [None, published_key()], ids=["removed", "replaced"])
def test_a_token_whose_key_was_revoked_is_not_known(
    successor: jwt.PyJWK | None, clock: Clock
) -> None:
    ring = Ring()
    memory = kept(ring, expires=NOW + 10)

    ring.key = successor

    assert memory.find("token") is None


def test_another_token_is_not_known(clock: Clock) -> None:
    assert kept(Ring(), expires=NOW + 10).find("token2") is None


def test_the_oldest_of_too_many_tokens_is_forgotten(clock: Clock) -> None:
    ring = Ring()
    memory = kept(ring, expires=NOW + 10)
    assert ring.key

    for number in range(LARGEST_COUNT):
        memory.keep(number, VerifiedToken(ALICE, ring.key, NOW + 10))

    assert (memory.find("token"), memory.find(0)) == (None, ALICE)


def test_a_token_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens_of_this_test("alice")
    decoded = []
    decode = jwt.decode

    def count(*given: Any, **options: Any) -> Any:
        decoded.append(given)
        return decode(*given, **options)

    monkeypatch.setattr(jwt, "decode", count)

    users = [tokens.verify(token) for _ in range(3)]

    assert [user.id for user in users] == ["alice"] * 3
    assert len(decoded) == 1


@pytest.mark.parametrize("demand", ["JWT_AUDIENCE", "JWT_ISSUER"])
def test_a_known_token_is_not_for_another_audience_or_issuer(demand: str, settings: Any) -> None:
    token = tokens_of_this_test("alice")
    tokens.verify(token)

    setattr(settings, demand, "somebody-else")

    with pytest.raises(AuthenticationFailed):
        tokens.verify(token)


@pytest.mark.slow
def test_a_known_token_is_refused_when_it_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens_of_this_test("alice", exp=int(time.time()) - tokens.LEEWAY_SECONDS + 2)
    tokens.verify(token)

    time.sleep(2.1)

    with pytest.raises(AuthenticationFailed):
        tokens.verify(token)


def tokens_of_this_test(user_id: str, **claims: int) -> str:
    """Return a token that no other test uses."""
    return PROVIDER.token(user_id, jti=str(time.time_ns()), **claims)
