"""A stand-in for mana-auth: signs tokens with an Ed25519 key and publishes the public half."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

AUDIENCE = "mana"
LIFETIME_SECONDS = 12 * 3600
PEOPLE: dict[str, dict[str, str]] = {
    "demo-alice": {"email": "alice@example.test", "name": "Alice", "role": "user"},
    "demo-bob": {"email": "bob@example.test", "name": "Bob", "role": "user"},
    "demo-carol": {"email": "carol@example.test", "name": "Carol", "role": "user"},
    "demo-admin": {"email": "admin@example.test", "name": "Admin", "role": "admin"},
}


class IdentityProvider:
    """Issues tokens as `issuer`, signed with one key."""

    def __init__(self, issuer: str, key: Ed25519PrivateKey, key_id: str = "sandbox") -> None:
        self.issuer = issuer
        self.key_id = key_id
        self._key = key

    def token(self, user_id: str, **claims: Any) -> str:
        """Return a token for `user_id`; a claim given as None is left out."""
        now = int(time.time())
        all_claims = {
            "sub": user_id,
            "iss": self.issuer,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            **PEOPLE.get(user_id, {}),
            **claims,
        }
        payload = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(payload, self._key, algorithm="EdDSA", headers={"kid": self.key_id})

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set."""
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.key_id, "alg": "EdDSA", "use": "sig"}]}


def new_key() -> str:
    """Return a new private key as PEM."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )


def read_key(pem: str) -> Ed25519PrivateKey:
    """Return the private key in `pem`."""
    key = load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


@contextmanager
def serving(key: Ed25519PrivateKey, *, port: int = 0) -> Iterator[IdentityProvider]:
    """Serve an identity provider on loopback while the context lasts.

    `GET /api/auth/jwks` as mana-auth has it; `POST /api/auth/token` with `{"user": ID}` gives a
    demo user's token without asking for a password.
    """
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    provider = IdentityProvider(f"http://localhost:{server.server_port}", key)
    server.provider = provider  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, name="identity-provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/api/auth/jwks":
            self._answer(200, self._provider.jwks())
        else:
            self._answer(404, {"message": "Not found"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        try:
            user_id = json.loads(self.rfile.read(length))["user"]
        except (ValueError, KeyError, TypeError):
            user_id = None
        if self.path == "/api/auth/token" and user_id in PEOPLE:
            self._answer(200, {"token": self._provider.token(user_id)})
        else:
            self._answer(401, {"message": "Unknown user"})

    @property
    def _provider(self) -> IdentityProvider:
        provider: IdentityProvider = self.server.provider  # type: ignore[attr-defined]
        return provider

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet: the terminal is for the service."""
