"""The public keys of mana-auth, cached while it is down.

One background thread fetches the keys. A request with a known key never waits. A request with an
unknown key, or before the first fetch has ended, waits for a limited time. The bulkhead `auth`
limits how many threads wait at once.
"""

import time
from threading import Event, Lock, Thread
from typing import Any

import jwt
import requests
import structlog

from credits import http_deadline
from credits.bulkheads import Bulkhead
from mana_credits.api.errors import ServiceUnavailable

REFETCH_SECONDS = 30
RETRY_SECONDS = 2
REFRESH_SECONDS = 600
FETCH_SECONDS = 3  # limit of a whole fetch
UNKNOWN_KEY_SECONDS = 1  # how long a request with an unknown key waits for a fetch
FIRST_FETCH_SECONDS = 0.5  # how long all threads of a new process wait for its first keys

logger = structlog.get_logger(__name__)


def auth_unavailable() -> ServiceUnavailable:
    """Return the error for keys that are not available now."""
    return ServiceUnavailable("The auth server cannot be reached", "auth_unavailable")


def no_usable_key() -> ServiceUnavailable:
    """Return the error for an auth server that publishes no key for tokens."""
    return ServiceUnavailable("The auth server publishes no usable key", "auth_unavailable")


class NoUsableKeyError(ValueError):
    """The auth server answered, but without a key that can verify tokens."""


class KeyRing:
    """Caches the keys by their id.

    The keys are fetched on first use, then every 10 minutes, and for an unknown key id. The next
    fetch starts at least 30 seconds after the last one ended, or 2 seconds while there is no key. A
    failed fetch keeps the known keys.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        # Requests read it without the lock: `_fetch` replaces the dictionary and never changes it.
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._refusal = auth_unavailable
        self._waiting = Bulkhead("auth", refusal=auth_unavailable, patience=FIRST_FETCH_SECONDS)
        self._lock = Lock()
        self._under_way: Event | None = None
        self._ended_at = float("-inf")
        self._fetched_at = float("-inf")

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key, or None if mana-auth has no key with this id.

        Raises ServiceUnavailable if no key is known, or if a fetch that may find this key has not
        ended.
        """
        key = self._keys.get(key_id)
        if key is None:
            self._wait_for_fetch(UNKNOWN_KEY_SECONDS if self._keys else FETCH_SECONDS)
            key = self._keys.get(key_id)
        elif time.monotonic() - self._fetched_at > REFRESH_SECONDS:
            self.fetch_when_due()
        if not self._keys:
            raise self._refusal()
        return key

    def fetch_when_due(self) -> Event | None:
        """Start a fetch if one is due. Return the event that ends the running fetch, or None."""
        with self._lock:
            pause = REFETCH_SECONDS if self._keys else RETRY_SECONDS
            if self._under_way is None and time.monotonic() - self._ended_at >= pause:
                self._under_way = Event()
                Thread(
                    target=self._fetch, args=[self._under_way], name="jwks-fetch", daemon=True
                ).start()
            return self._under_way

    def _wait_for_fetch(self, seconds: float) -> None:
        ended = self.fetch_when_due()
        if ended is None:
            return
        with self._waiting.place():
            if not ended.wait(seconds):
                raise auth_unavailable()  # it is still unknown whether this key exists

    def _fetch(self, ended: Event) -> None:
        try:
            keys = _published(self._url)
        except NoUsableKeyError as error:
            self._refusal = no_usable_key
            logger.warning("jwks_without_usable_key", error=str(error))
        except (requests.RequestException, ValueError) as error:
            self._refusal = auth_unavailable
            logger.warning("jwks_fetch_failed", error=str(error))
        else:
            self._keys = keys
            self._fetched_at = time.monotonic()
        finally:
            # After a failed first fetch, requests no longer wait: they would hold threads in vain.
            self._waiting.patience = 0
            with self._lock:
                self._ended_at = time.monotonic()
                self._under_way = None
            ended.set()


def _published(url: str) -> dict[str | None, jwt.PyJWK]:
    """Return the published keys that verify tokens. Raises NoUsableKeyError if there are none."""
    with http_deadline.within(FETCH_SECONDS), http_deadline.session(FETCH_SECONDS) as session:
        answer = session.get(url)
        answer.raise_for_status()
        try:
            body = answer.json()
        # Caught here, because the JSON error of `requests` is also a RequestException, which
        # `_fetch` reports as a server that cannot be reached.
        except (ValueError, RecursionError) as error:
            raise NoUsableKeyError("The answer is not JSON or too deep") from error
    published = body.get("keys") if isinstance(body, dict) else None
    found = [_usable(one) for one in published] if isinstance(published, list) else []
    keys: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in found if key}
    if not keys:
        raise NoUsableKeyError("The answer holds no Ed25519 key with an id that can verify")
    return keys


def _usable(published: Any) -> jwt.PyJWK | None:
    """Return the Ed25519 key for verifying tokens, or None for any other member of the key set."""
    match published:
        case {"kty": "OKP", "crv": "Ed25519", "x": str(point), "kid": str(key_id)} if key_id:
            pass
        case _:
            return None
    if published.get("use") not in (None, "sig"):
        return None
    if published.get("alg") not in (None, "EdDSA", "Ed25519"):
        return None
    try:
        return jwt.PyJWK(
            {"kty": "OKP", "crv": "Ed25519", "x": point, "kid": key_id, "alg": "EdDSA"}
        )
    except (jwt.PyJWTError, ValueError):
        return None
