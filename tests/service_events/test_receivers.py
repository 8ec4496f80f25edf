"""Messages go only to allowed hosts at public addresses, each checked before the connection."""

import ipaddress
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from mana_credits.service_events import addresses, receivers
from mana_credits.service_events.addresses import AddressForbidden
from mana_credits.service_events.receivers import ReceiverRefused, ReceiverUnavailable
from tests import slow_server
from tests.credits.test_http_deadline import certificate, under_tls
from tests.event_receiver import EventReceiver
from tests.slow_server import Behaviour, serving

__all__ = ["certificate"]

INSIDE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::1", "2002:a9fe:a9fe::", "2001:0:7f00:1::", "2001:db8::1", "fec0::1"),
]


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.EVENT_HOSTS = ["chat.example.com", "shop.example.com:8443"]
    settings.EVENT_HOSTS_MAY_BE_LOCAL = False


def answers_of_dns(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let each next lookup of a name have the next answer. Return the list of names looked up."""
    remaining, asked = list(answers), []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *arguments: Any, **named: Any) -> Any:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            asked.append(host)
            found = remaining.pop(0)
            return [(0, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]
        return real(host, port, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the addresses that are connected to. No connection succeeds."""
    found: list[str] = []

    def connect(self: socket.socket, address: Any) -> None:
        found.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    "url",
    [
        "http://chat.example.com/events",
        "https://other.example.com/events",
        "https://chat.example.com:8443/events",
        "https://shop.example.com/events",
        "https://chat.example.com.evil.test/",
        "https://evil.test/chat.example.com",
        "https://chat.example.com@evil.test/",
        "https://evil.test#@chat.example.com/",
        "https://evil.test\\@chat.example.com/",
        "https://chat.example.com\\@evil.test/",
        "https://user:secret@chat.example.com/",
        "https://chat.example.com/\r\nX-Injected: 1",
        "https://chat.example.com /",
        "https://CHAT.example.com/",
        "https://chat.example.com./",
        "https://[::1]/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://chat.example.com:0443/",
        "ftp://chat.example.com/",
        "file:///etc/passwd",
        "//chat.example.com/",
        "https://chat.example.com/%0\u2028",
        "",
    ],
)
def test_other_urls_are_not_accepted(url: str) -> None:
    with pytest.raises(AddressForbidden):
        addresses.accept(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://chat.example.com",
        "https://chat.example.com/events?from=credits",
        "https://chat.example.com:443/",
        "https://shop.example.com:8443/a/b",
    ],
)
def test_allowed_hosts_are_accepted(url: str) -> None:
    assert addresses.accept(url).host in url


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_never_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch, connected: list[str]
) -> None:
    answers_of_dns(monkeypatch, ["93.184.216.34", address])

    with pytest.raises(ReceiverUnavailable, match="not a public one"):
        receivers.post("https://chat.example.com/", b"{}", {})

    assert connected == []


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1"])
def test_public_addresses_are_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch, connected: list[str]
) -> None:
    answers_of_dns(monkeypatch, [address])

    with pytest.raises(ReceiverUnavailable):
        receivers.post("https://chat.example.com/", b"{}", {})

    assert connected == [address]


def test_a_name_that_changes_its_address_is_resolved_once(
    monkeypatch: pytest.MonkeyPatch, connected: list[str]
) -> None:
    asked = answers_of_dns(monkeypatch, ["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"])

    with pytest.raises(ReceiverUnavailable):
        receivers.post("https://chat.example.com/", b"{}", {})

    assert asked == ["chat.example.com"]
    assert connected == ["93.184.216.34"]


def test_a_proxy_of_the_environment_is_not_used(
    monkeypatch: pytest.MonkeyPatch, connected: list[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    answers_of_dns(monkeypatch, ["93.184.216.34"])

    with pytest.raises(ReceiverUnavailable):
        receivers.post("https://chat.example.com/", b"{}", {})

    assert connected == ["93.184.216.34"]


def test_each_checked_address_is_tried(
    monkeypatch: pytest.MonkeyPatch, connected: list[str]
) -> None:
    answers_of_dns(monkeypatch, ["93.184.216.34", "93.184.216.35"])

    with pytest.raises(ReceiverUnavailable):
        receivers.post("https://chat.example.com/", b"{}", {})

    assert connected == ["93.184.216.34", "93.184.216.35"]


def test_the_certificate_must_name_the_host_not_the_address(
    certificate: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVENT_HOSTS_MAY_BE_LOCAL = True
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    answers_of_dns(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])

    with serving(under_tls(certificate, slow_server.answering(b"{}"))) as server:
        port = server.url.rpartition(":")[2]
        settings.EVENT_HOSTS = [f"localhost:{port}", f"other:{port}"]
        receivers.post(f"https://localhost:{port}/", b"{}", {})
        with pytest.raises(ReceiverUnavailable, match="certificate"):
            receivers.post(f"https://other:{port}/", b"{}", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "behave", [slow_server.hang, slow_server.drip_head, slow_server.drip_body, slow_server.flood]
)
def test_a_receiver_that_is_slow_or_answers_without_end_is_given_up(
    behave: Behaviour, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receivers, "DEADLINE_SECONDS", 0.5)
    settings.EVENT_HOSTS_MAY_BE_LOCAL = True
    started = time.monotonic()

    with serving(behave) as server:
        settings.EVENT_HOSTS = [server.url.removeprefix("http://")]
        with pytest.raises(ReceiverUnavailable):
            receivers.post(server.url, b"{}", {})

    assert time.monotonic() - started < 20


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503])
def test_only_2xx_means_received(status: int, receiver: EventReceiver) -> None:
    receiver.answer = lambda request: status
    receiver.headers = {"Location": receiver.url}

    with pytest.raises(ReceiverRefused, match=str(status)):
        receivers.post(receiver.url, b"{}", {})

    assert len(receiver.received) == 1


def test_loopback_is_for_development_only(receiver: EventReceiver, settings: Settings) -> None:
    settings.EVENT_HOSTS_MAY_BE_LOCAL = False

    with pytest.raises(ReceiverUnavailable, match="https"):
        receivers.post(receiver.url, b"{}", {})
    with pytest.raises(ReceiverUnavailable, match="not a public one"):
        receivers.post(receiver.url.replace("http://", "https://"), b"{}", {})

    assert receiver.received == []
