"""A call to another service ends at its deadline, however slow the response."""

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from credits import http_deadline
from tests import slow_server
from tests.slow_server import Behaviour, serving

LIMIT = 1  # in seconds; the slow responses would take 60
TOLERANCE = 20  # tolerance for a busy machine


def assert_ends(url: str, verify: str | bool = True) -> None:
    started = time.monotonic()
    with pytest.raises(requests.RequestException):
        http_deadline.session(LIMIT).get(url, verify=verify)

    assert time.monotonic() - started < TOLERANCE


@pytest.mark.parametrize(
    "behave", [slow_server.hang, slow_server.drip_head, slow_server.drip_body, slow_server.flood]
)
@pytest.mark.slow
def test_a_slow_or_endless_answer_is_given_up(behave: Behaviour) -> None:
    with serving(behave) as server:
        assert_ends(server.url)


@pytest.mark.slow
def test_a_connection_that_is_never_accepted_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)

        assert_ends(f"http://127.0.0.1:{address[1]}")

        for one in waiting:
            one.close()


@pytest.mark.slow
def test_an_outer_deadline_ends_several_calls_together() -> None:
    session = http_deadline.session(50)
    started = time.monotonic()

    with serving(slow_server.hang) as server, http_deadline.within(LIMIT):
        for _ in range(3):
            with pytest.raises(requests.RequestException):
                session.get(server.url)

    assert time.monotonic() - started < TOLERANCE


def test_a_quick_answer_is_read_whole() -> None:
    with serving(slow_server.answering(b'{"keys":[1]}')) as server:
        answer = http_deadline.session(30).get(server.url)

    assert (answer.status_code, answer.json(), answer.content) == (
        200,
        {"keys": [1]},
        b'{"keys":[1]}',
    )


@pytest.mark.slow
def test_the_deadline_of_one_call_does_not_shorten_the_next_one() -> None:
    session = http_deadline.session(LIMIT)
    with serving(slow_server.hang) as server:
        with pytest.raises(requests.RequestException):
            session.get(server.url)
        server.behave = slow_server.answering(b"{}")

        assert session.get(server.url).json() == {}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def under_tls(certificate: Path, behave: Behaviour) -> Behaviour:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return slow_server.over_tls(context, behave)


@pytest.mark.slow
def test_the_same_holds_under_tls(certificate: Path) -> None:
    with serving(under_tls(certificate, slow_server.answering(b"{}"))) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")

        answer = http_deadline.session(30).get(url, verify=str(certificate))
        with pytest.raises(requests.exceptions.SSLError):
            http_deadline.session(30).get(url)
        server.behave = under_tls(certificate, slow_server.drip_body)
        assert_ends(url, verify=str(certificate))
        server.behave = slow_server.drip_handshake
        assert_ends(url, verify=str(certificate))

    assert answer.json() == {}
