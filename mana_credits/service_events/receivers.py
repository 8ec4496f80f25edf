"""The call of a receiver: to a checked address, without redirects, within one deadline."""

from collections.abc import Mapping

import requests
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

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
    except (requests.RequestException, addresses.AddressForbidden) as error:
        raise ReceiverUnavailable(f"{type(error).__name__}: {error}") from error
    if not 200 <= answer.status_code < 300:
        raise ReceiverRefused(f"answered {answer.status_code}")


class _ToCheckedAddress:
    """Checks every address of the host, which is resolved once, before it connects to one.

    TLS verifies the name of the host as usual.
    """

    def ip_addresses(self, host: str) -> list[str]:
        """Return the addresses of the host. Raises OSError.

        Raises AddressForbidden if one of them is not public.
        """
        try:
            found: list[str] = super().ip_addresses(host)  # type: ignore[misc]
        except UnicodeError as error:  # a label with more than 63 characters
            raise addresses.AddressForbidden(f"{host} is not a host name") from error
        addresses.require_public(host, found)
        return found


class _Connection(_ToCheckedAddress, http_deadline.DeadlineConnection):
    pass


class _TLSConnection(_ToCheckedAddress, http_deadline.TLSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
