"""User tokens: which are accepted, and for which user."""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mana_credits.api.tokens import verify
from mana_credits.dev.sandbox.identity import IdentityProvider
from tests.api import Answer, Caller
from tests.environment import IDENTITY_KEY, PROVIDER
from tests.factories import give

pytestmark = pytest.mark.django_db

ISSUER = PROVIDER.issuer
MISSING = "Missing or invalid Authorization header"
INVALID = "Invalid or expired token"


def ask(token: str, **headers: str) -> Answer:
    return Caller.with_token(token).get("balance", **headers)


def assert_refused(answer: Answer, message: str) -> None:
    assert answer.status_code == 401
    assert answer.json() == {"statusCode": 401, "message": message, "code": "not_authenticated"}
    assert answer["WWW-Authenticate"] == "Bearer"


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    everything = {"sub": "alice", "iss": ISSUER, "aud": "mana", "iat": now, "exp": now + 60}
    return {**everything, **changes}


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def with_password(payload: dict[str, Any], password: bytes) -> str:
    """Return an HS256 token whose key PyJWT itself would refuse."""
    signed = f"{encoded({'alg': 'HS256', 'kid': 'sandbox'})}.{encoded(payload)}"
    digest = hmac.digest(password, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_a_valid_token_authenticates_its_subject() -> None:
    give("alice", 5)

    answer = ask(PROVIDER.token("alice"))

    assert answer.status_code == 200
    assert answer.json() == {
        "balance": 5,
        "totalEarned": 5,
        "totalSpent": 0,
        "held": 0,
        "expiring": [],
    }


def test_the_claims_identify_the_user() -> None:
    described = verify(PROVIDER.token("u", email="u@example.test", name="Uma", role="admin"))
    bare = verify(PROVIDER.token("u"))
    odd = verify(PROVIDER.token("u", email=5, name=["x"], role={}))

    assert (described.id, described.email, described.name, described.role) == (
        "u",
        "u@example.test",
        "Uma",
        "admin",
    )
    assert (bare.id, bare.email, bare.name, bare.role) == ("u", None, None, "user")
    assert odd == bare


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YWxpY2U6eA==", "Token {}", "{}", "Bearer{}"],
)
def test_a_header_that_is_not_a_bearers_is_named(anonymous: Caller, header: str) -> None:
    answer = anonymous.get("balance", Authorization=header.format(PROVIDER.token("alice")))

    assert_refused(answer, MISSING)


def test_no_header_at_all_is_named(anonymous: Caller) -> None:
    assert_refused(anonymous.get("balance"), MISSING)


def test_the_scheme_may_be_written_in_any_case(anonymous: Caller) -> None:
    answer = anonymous.get("balance", Authorization=f"bearer  {PROVIDER.token('alice')} ")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "é.é.é",
        "....",
        encoded({"alg": "EdDSA", "kid": "sandbox"}) + ".e30.AAAA",
        encoded({"alg": "EdDSA", "kid": 5}) + ".e30.AAAA",
        encoded({"alg": "EdDSA", "kid": ["sandbox"]}) + ".e30.AAAA",
        encoded({"alg": "EdDSA"}) + ".e30.AAAA",
        encoded({"alg": 5, "kid": "sandbox"}) + ".e30.AAAA",
        base64.urlsafe_b64encode(b"[1]").decode() + ".e30.AAAA",
        base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.AAAA",
        "x" * 7000,
    ],
)
def test_garbage_is_nobody(token: str) -> None:
    assert_refused(ask(token), INVALID)


def test_an_unsigned_token_is_rejected() -> None:
    none = jwt.encode(claims(), "", algorithm="none", headers={"kid": "sandbox"})
    stripped = PROVIDER.token("alice").rpartition(".")[0] + "."

    assert_refused(ask(none), INVALID)
    assert_refused(ask(stripped), INVALID)


def test_an_hmac_token_signed_with_the_public_key_is_rejected() -> None:
    public = IDENTITY_KEY.public_key()
    passwords = [
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        PROVIDER.jwks()["keys"][0]["x"].encode(),
    ]

    answers = [ask(with_password(claims(), password)) for password in passwords]

    for answer in answers:
        assert_refused(answer, INVALID)


def test_a_foreign_key_under_the_same_id_is_nobody() -> None:
    foreign = IdentityProvider(ISSUER, Ed25519PrivateKey.generate())

    assert_refused(ask(foreign.token("alice")), INVALID)


def test_a_changed_subject_is_nobody() -> None:
    header, _, signature = PROVIDER.token("alice").split(".")

    assert_refused(ask(f"{header}.{encoded(claims(sub='bob'))}.{signature}"), INVALID)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"iss": ""},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": ["another", "else"]},
        {"aud": 5},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 32503680000},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": "a\0b"},
        {"sub": "a\nb"},
        {"sub": "\ud800"},
        {"sub": "x" * 256},
        {"sub": "erased:f91aed79-86e2-4a3c-9d53-0d7c1a2b3c4d"},
    ],
    ids=repr,
)
def test_a_token_with_an_invalid_claim_is_rejected(changed: dict[str, Any]) -> None:
    assert_refused(ask(PROVIDER.token("alice", **changed)), INVALID)


def test_one_of_several_audiences_suffices() -> None:
    answer = ask(PROVIDER.token("alice", aud=["another", "mana"]))

    assert answer.status_code == 200


def test_a_subject_may_have_255_characters() -> None:
    assert verify(PROVIDER.token("ü" * 255)).id == "ü" * 255


@pytest.mark.parametrize(("ago", "status"), [(5, 200), (15, 401)])
def test_a_token_expires_10_seconds_after_its_time(ago: int, status: int) -> None:
    answer = ask(PROVIDER.token("alice", exp=int(time.time()) - ago))

    assert answer.status_code == status
    if status == 401:
        assert_refused(answer, INVALID)


def test_an_unknown_key_id_is_nobody() -> None:
    unknown = IdentityProvider(ISSUER, IDENTITY_KEY, key_id="never-published")

    assert_refused(ask(unknown.token("alice")), INVALID)


@pytest.mark.parametrize(
    "issued_at",
    [int(time.time()) + 3600, "x", -1, 32503680000],
    ids=["in an hour", "text", "negative", "in the year 3000"],
)
def test_when_a_token_was_issued_is_not_judged(issued_at: object) -> None:
    assert verify(PROVIDER.token("alice", iat=issued_at)).id == "alice"


def signed(algorithm: str) -> str:
    """Return a token of the sandbox's key that names `algorithm`."""
    head = f"{encoded({'alg': algorithm, 'kid': 'sandbox'})}.{encoded(claims())}"
    signature = base64.urlsafe_b64encode(IDENTITY_KEY.sign(head.encode())).rstrip(b"=")
    return f"{head}.{signature.decode()}"


@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_a_token_may_name_its_algorithm_in_either_way(algorithm: str) -> None:
    assert verify(signed(algorithm)).id == "alice"


@pytest.mark.parametrize("algorithm", ["ed25519", "Ed448", "ES256", "HS256", "none", ""])
def test_a_token_of_another_algorithm_is_nobody(algorithm: str) -> None:
    assert_refused(ask(signed(algorithm)), INVALID)
