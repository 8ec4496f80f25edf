"""A substitute for mana-auth: signs tokens with an Ed25519 key and publishes the public key.

It also serves the parts that the service's pages need: a page to choose a demo user, a session
cookie, and a token for each session.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

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
    "demo-nora": {"email": "nora@example.test", "name": "Nora", "role": "user"},
    "demo-admin": {"email": "admin@example.test", "name": "Admin", "role": "admin"},
}
SESSION = "sandbox_session"
LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d+)?")
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sandbox sign-in</title>
<style>
:root {{ color-scheme: light dark; font: 1.0625rem/1.5 system-ui, sans-serif }}
body {{ max-width: 24rem; margin: 12vh auto; padding: 0 1rem }}
a {{ display: flex; justify-content: space-between; margin: .5rem 0; padding: .75rem 1rem;
  border: 1px solid #8884; border-radius: .75rem; color: inherit; text-decoration: none }}
a:hover, a:focus-visible {{ outline: 2px solid #7567ea }}
small {{ opacity: .7 }}
</style>
<h1>Who are you?</h1>
<p>This page replaces mana-auth. Choose a demo user; no password is needed.</p>
{people}"""
PERSON = (
    '<a href="/sign-in?user={id}&amp;redirectTo={to}"><b>{name}</b><small>{email}</small></a>\n'
)


class IdentityProvider:
    """Issues tokens as `issuer`, signed with one key."""

    def __init__(self, issuer: str, key: Ed25519PrivateKey, key_id: str = "sandbox") -> None:
        self.issuer = issuer
        self.key_id = key_id
        self._key = key

    def token(self, user_id: str, **claims: Any) -> str:
        """Return a token for `user_id`. A claim given as None is left out."""
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
    """Serve an identity provider on loopback during the context.

    It serves the routes of mana-auth: `GET /api/auth/jwks` and, with a session cookie, `GET
    /api/auth/token`. `GET /?redirectTo=URL` offers the demo users. `POST /api/auth/token` with
    `{"user": ID}` returns a demo user's token without a password.
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
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        match address.path:
            case "/api/auth/jwks":
                self._answer(200, self._provider.jwks())
            case "/api/auth/token":
                self._token_for(self._session())
            case "/":
                self._offer_people(query.get("redirectTo", ""))
            case "/sign-in" if query.get("user") in PEOPLE:
                self._sign_in(query["user"], query.get("redirectTo", ""))
            case _:
                self._answer(404, {"message": "Not found"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        try:
            user_id = json.loads(self.rfile.read(length))["user"]
        except (ValueError, KeyError, TypeError):
            user_id = None
        self._token_for(user_id if self.path == "/api/auth/token" else None)

    @property
    def _provider(self) -> IdentityProvider:
        provider: IdentityProvider = self.server.provider  # type: ignore[attr-defined]
        return provider

    def _token_for(self, user_id: Any) -> None:
        if isinstance(user_id, str) and user_id in PEOPLE:
            self._answer(200, {"token": self._provider.token(user_id)})
        else:
            self._answer(401, {"message": "Unknown user"})

    def _session(self) -> str | None:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(SESSION)
        except CookieError:
            return None
        return found.value if found else None

    def _offer_people(self, back: str) -> None:
        people = "".join(
            PERSON.format(
                id=user_id,
                to=quote(back, safe=""),
                name=escape(person["name"]),
                email=escape(person["email"]),
            )
            for user_id, person in PEOPLE.items()
        )
        self._send(200, "text/html; charset=utf-8", PAGE.format(people=people).encode())

    def _sign_in(self, user_id: str, back: str) -> None:
        address = urlsplit(back)
        ours = LOCAL.fullmatch(f"{address.scheme}://{address.netloc}")
        self.send_response(303)
        self.send_header("Set-Cookie", f"{SESSION}={user_id}; Path=/; HttpOnly; SameSite=Lax")
        self.send_header("Location", address.geturl() if ours else "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, content_type: str, content: bytes) -> None:
        self.send_response(status)
        origin = self.headers.get("Origin", "")
        if LOCAL.fullmatch(origin):  # allows pages on this machine to send requests with cookies
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Vary", "Origin")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the terminal shows the sandbox's own messages."""
