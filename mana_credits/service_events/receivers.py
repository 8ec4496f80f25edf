"""The call of a receiver: to a checked address, without redirects, within one deadline."""

from collections.abc import Mapping
from typing import Any

import requests
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from credits import http_deadline
from mana_credits.service_events import addresses

DEADLINE_SECONDS = 5  # for the whole call


class ReceiverUnavailable(Exception):
    """The receiver cannot be reached, may not be called, or did not answer in time."""


class ReceiverRefused(Exception):
    """The receiver answered with a status other than 2xx."""


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send a message. Raises ReceiverUnavailable, ReceiverRefused.

    A redirect counts as a refusal: its target was not checked. Proxies of the environment are not
    used, because the proxy would resolve the name again.
    """
    try:
        addresses.accept(url)  # EVENT_HOSTS may have changed since the subscription was created
        with http_deadline.session(DEADLINE_SECONDS, pools=_POOLS) as session:
            session.trust_env = False
            answer = session.post(url, data=body, headers=dict(headers), allow_redirects=False)
    except (requests.RequestException, addresses.Forbidden) as error:
        raise ReceiverUnavailable(f"{type(error).__name__}: {error}") from error
    if not 200 <= answer.status_code < 300:
        raise ReceiverRefused(f"answered {answer.status_code}")


class _ToCheckedAddress:
    """Resolves the host once, checks every address, and connects to one of them.

    TLS verifies the name of the host as usual.
    """

    host: str
    port: int

    def _new_conn(self) -> Any:
        name = self.host
        failure: Exception | None = None
        try:
            for address in addresses.resolve(name, self.port):
                # urllib3 connects to `self.host`. TLS takes the name from the pool, not from here.
                self.host = address
                try:
                    return super()._new_conn()  # type: ignore[misc]
                except (HTTPError, OSError) as error:
                    failure = error
        finally:
            self.host = name
        raise failure or OSError(f"{name} has no address")


class _Connection(_ToCheckedAddress, http_deadline.Connection):
    pass


class _TLSConnection(_ToCheckedAddress, http_deadline.TLSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
