"""The public keys of mana-auth, kept while it is down.

One thread fetches, in the background. A request with a known key never waits. A request with an
unknown key, or before the first fetch has ended, waits for a bounded time, and only as many
threads at once as the bulkhead `auth` has places.
"""

import time
from threading import Event, Lock, Thread

import jwt
import requests
import structlog

from credits import http_deadline
from credits.bulkheads import Bulkhead
from mana_credits.api.errors import ServiceUnavailable

REFETCH_SECONDS = 30
RETRY_SECONDS = 2
REFRESH_SECONDS = 600
FETCH_SECONDS = 3  # for a whole fetch
UNKNOWN_KEY_SECONDS = 1  # for which a request with an unknown key waits for a fetch
FIRST_FETCH_SECONDS = 0.5  # for which all threads of a new process wait for its first keys

logger = structlog.get_logger(__name__)


def auth_unavailable() -> ServiceUnavailable:
    """Return the error for keys that cannot be had now."""
    return ServiceUnavailable("The auth server cannot be reached", "auth_unavailable")


class KeyRing:
    """The keys by their id.

    Fetched when first needed, then every 10 minutes, and for an unknown key id; no sooner than 30
    seconds after the last fetch ended (2 seconds while there is no key). A failed fetch keeps the
    known keys.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._waiting = Bulkhead("auth", refusal=auth_unavailable, patience=FIRST_FETCH_SECONDS)
        self._lock = Lock()
        self._under_way: Event | None = None
        self._ended_at = float("-inf")
        self._fetched_at = float("-inf")

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key, None when mana-auth has no such key.

        Raises ServiceUnavailable without any key, or while a fetch could still bring this one.
        """
        key = self._keys.get(key_id)
        if key is None:
            self._wait_for_fetch(UNKNOWN_KEY_SECONDS if self._keys else FETCH_SECONDS)
            key = self._keys.get(key_id)
        elif time.monotonic() - self._fetched_at > REFRESH_SECONDS:
            self.fetch_when_due()
        if not self._keys:
            raise auth_unavailable()
        return key

    def fetch_when_due(self) -> Event | None:
        """Start a fetch when one is due; return the end of the one under way, None without one."""
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
                raise auth_unavailable()  # whether there is such a key is not known yet

    def _fetch(self, ended: Event) -> None:
        try:
            keys = _published(self._url)
        except (requests.RequestException, jwt.PyJWTError, ValueError) as error:
            logger.warning("jwks_fetch_failed", error=str(error))
        else:
            self._keys = keys
            self._fetched_at = time.monotonic()
        finally:
            # After a first fetch that failed, waiting for the next one is no longer worth threads.
            self._waiting.patience = 0
            with self._lock:
                self._ended_at = time.monotonic()
                self._under_way = None
            ended.set()


def _published(url: str) -> dict[str | None, jwt.PyJWK]:
    """Return the keys that can sign; raise when the answer holds none."""
    with http_deadline.within(FETCH_SECONDS), http_deadline.session(FETCH_SECONDS) as session:
        answer = session.get(url)
        answer.raise_for_status()
        body = answer.json()
    if not isinstance(body, dict):
        raise ValueError("The answer is not a JSON object")  # noqa: TRY004
    found = jwt.PyJWKSet.from_dict(body).keys
    keys = {key.key_id: key for key in found if key.key_id and key.public_key_use in ("sig", None)}
    if not keys:
        raise ValueError("The answer holds no key that can sign")
    return dict(keys)
