"""User tokens: JWTs signed by mana-auth, checked against its published keys."""

import time
from threading import Lock
from typing import Any

import jwt
import structlog
from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, ValidationError
from rest_framework.request import Request

from credits.api.wire_fields import UserId
from credits.principals import User
from mana_credits.api.errors import ServiceUnavailable

ALGORITHMS = ["EdDSA"]
LEEWAY_SECONDS = 10
REFETCH_SECONDS = 30
RETRY_SECONDS = 2
REFRESH_SECONDS = 600
FETCH_TIMEOUT_SECONDS = 3

logger = structlog.get_logger(__name__)


SUBJECT = UserId()


class KeyRing:
    """The public keys of mana-auth, kept while it is down.

    Fetched when first needed, then every 10 minutes, and for an unknown key id; never more than
    once per 30 seconds (2 seconds while there is none). A failed fetch keeps the known keys.
    """

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT_SECONDS)
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._lock = Lock()

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key, None when mana-auth has no such; raise ServiceUnavailable without any."""
        key = self._keys.get(key_id)
        stale = time.monotonic() - self._fetched_at > REFRESH_SECONDS
        if (key is None or stale) and self._lock.acquire(blocking=key is None):
            try:
                self._fetch_when_due()
            finally:
                self._lock.release()
            key = self._keys.get(key_id)
        if not self._keys:
            raise ServiceUnavailable("The auth server cannot be reached", "auth_unavailable")
        return key

    def _fetch_when_due(self) -> None:
        now = time.monotonic()
        if now - self._tried_at < (REFETCH_SECONDS if self._keys else RETRY_SECONDS):
            return
        self._tried_at = now
        try:
            keys = self._client.get_signing_keys()
        except (jwt.PyJWTError, ValueError, OSError) as error:
            logger.warning("jwks_fetch_failed", error=str(error))
            return
        self._keys = {key.key_id: key for key in keys}
        self._fetched_at = now


key_ring = KeyRing(f"{settings.MANA_AUTH_URL}/api/auth/jwks")


class TokenAuthentication(BaseAuthentication):
    """Accepts `Authorization: Bearer <JWT>` of mana-auth."""

    def authenticate(self, request: Request) -> tuple[User, None]:
        """Return the user; raise NotAuthenticated, AuthenticationFailed, ServiceUnavailable."""
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated("Missing or invalid Authorization header")
        return verify(token.strip()), None

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme in `WWW-Authenticate`."""
        return "Bearer"


def verify(token: str) -> User:
    """Return whose token it is; raise AuthenticationFailed or ServiceUnavailable."""
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = key_ring.find(key_id)
        if key is None:
            raise jwt.InvalidKeyError("unknown key id")
        claims = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=settings.JWT_AUDIENCE,
            issuer=settings.JWT_ISSUER,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub"]},
        )
        subject = SUBJECT.run_validation(claims["sub"])
    except (jwt.PyJWTError, ValidationError, ValueError) as error:
        raise AuthenticationFailed("Invalid or expired token") from error
    return User(
        id=subject,
        email=_text(claims, "email"),
        name=_text(claims, "name"),
        role=_text(claims, "role") or "user",
    )


def _text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value else None
