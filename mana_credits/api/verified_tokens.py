"""A cache of recently verified tokens.

Clients send the same token with every request, and verifying an Ed25519 signature takes longer than
reading a balance.
"""

import time
from collections.abc import Hashable
from threading import Lock
from typing import NamedTuple

import jwt

from credits.principals import User
from mana_credits.api.key_ring import KeyRing

KEPT_SECONDS = 60
LARGEST_COUNT = 2000  # a few MB per process


class VerifiedToken(NamedTuple):
    """The user of a token, its signing key, and its expiry in Unix seconds."""

    user: User
    key: jwt.PyJWK
    expires: int


class VerifiedTokens:
    """Caches up to LARGEST_COUNT tokens for KEPT_SECONDS each.

    A token is valid only until it expires, and only while its key is on the key ring. Each fetch
    creates new key objects, so a fetch also invalidates tokens verified with the previous ones.
    """

    def __init__(self, key_ring: KeyRing) -> None:
        self._key_ring = key_ring
        self._known: dict[Hashable, tuple[VerifiedToken, float]] = {}
        self._lock = Lock()

    def find(self, demands: Hashable) -> User | None:
        """Return the user of a cached token, or None if the token must be verified."""
        found = self._known.get(demands)
        if found is None:
            return None
        (user, key, expires), until = found
        # The cache's age is measured by a clock that never jumps, the token's expiry by the wall
        # clock.
        if time.monotonic() >= until or time.time() >= expires:
            return None
        return user if self._key_ring.find(key.key_id) is key else None

    def keep(self, demands: Hashable, verified: VerifiedToken) -> None:
        """Cache a verified token under `demands`, which include the token itself."""
        # Only writers need the lock: a look-up in a dict is atomic.
        with self._lock:
            self._known.pop(demands, None)
            if len(self._known) >= LARGEST_COUNT:
                # The oldest: a dict keeps the order of insertion.
                del self._known[next(iter(self._known))]
            self._known[demands] = (verified, time.monotonic() + KEPT_SECONDS)
