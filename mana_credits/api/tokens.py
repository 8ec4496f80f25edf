"""User tokens: JWTs signed by mana-auth and verified with its published keys."""

from typing import Any

import jwt
from django.conf import settings
from jwt.algorithms import OKPAlgorithm
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, ValidationError
from rest_framework.request import Request

from credits.api.wire_fields import UserIdField
from credits.principals import User
from mana_credits.api.key_ring import KeyRing
from mana_credits.api.seen_users import SeenUsers
from mana_credits.api.verified_tokens import VerifiedToken, VerifiedTokens

ALGORITHMS = ["EdDSA", "Ed25519"]  # two names of the same algorithm: RFC 8037, RFC 9864
LEEWAY_SECONDS = 10
SUBJECT = UserIdField()


jwt.register_algorithm("Ed25519", OKPAlgorithm())
key_ring = KeyRing(f"{settings.MANA_AUTH_URL}/api/auth/jwks")
seen_users = SeenUsers()
verified_tokens = VerifiedTokens(key_ring)


class TokenAuthentication(BaseAuthentication):
    """Authenticates `Authorization: Bearer <JWT>` tokens of mana-auth."""

    def authenticate(self, request: Request) -> tuple[User, None]:
        """Return the user. Raises NotAuthenticated, AuthenticationFailed or ServiceUnavailable."""
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated("Missing or invalid Authorization header")
        return verify(token.strip()), None

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme for `WWW-Authenticate`."""
        return "Bearer"


def verify(token: str) -> User:
    """Verify the token and return its user. Raises AuthenticationFailed or ServiceUnavailable."""
    demands = (token, settings.JWT_AUDIENCE, settings.JWT_ISSUER)
    known = verified_tokens.find(demands)
    if known:
        return known
    key, claims = _decode(token)
    try:
        subject = SUBJECT.run_validation(claims["sub"])
    except ValidationError as error:
        raise _invalid() from error
    user = User(
        id=subject,
        email=_text(claims, "email"),
        name=_text(claims, "name"),
        role=_text(claims, "role") or "user",
        # The claim is optional: without it, the address counts as confirmed.
        email_verified=claims.get("email_verified", True) is True,
    )
    seen_users.note(user)
    verified_tokens.keep(demands, VerifiedToken(user, key, int(claims["exp"]) + LEEWAY_SECONDS))
    return user


def _decode(token: str) -> tuple[jwt.PyJWK, dict[str, Any]]:
    """Return the signing key and the claims of a token."""
    try:
        key = key_ring.find(jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise jwt.InvalidKeyError("unknown key id")
        claims = jwt.decode(
            token,
            key.key,
            algorithms=ALGORITHMS,
            audience=settings.JWT_AUDIENCE,
            issuer=settings.JWT_ISSUER,
            leeway=LEEWAY_SECONDS,
            # `iat` is not checked: if mana-auth's clock is ahead, new tokens must still work.
            options={"require": ["exp", "sub"], "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise _invalid() from error
    return key, claims


def _invalid() -> AuthenticationFailed:
    return AuthenticationFailed("Invalid or expired token")


def _text(claims: dict[str, Any], name: str) -> str | None:
    """Return a claim that is a text; None for one with lone surrogates, which UTF-8 has not."""
    value = claims.get(name)
    if not isinstance(value, str) or any("\ud800" <= one <= "\udfff" for one in value):
        return None
    return value or None
