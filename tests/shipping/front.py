"""nginx with TLS in front of the service, Prometheus, and an HTTP client."""

import http.client
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.loopback import free_port
from tests.shipping import servers
from tests.shipping.servers import ROOT

HOST = "credits.example.com"


class Front:
    """An address to send requests to, by `http` or `https`."""

    def __init__(self, scheme: str, port: int) -> None:
        self.scheme = scheme
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection. The rehearsal's own certificate is trusted."""
        if self.scheme == "http":
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=trusting)

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Send one request on a new connection."""
        with closing(self.connect()) as line:
            return send(line, method, path, body, headers)


def send(
    line: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
) -> tuple[int, dict[str, str], Any]:
    """Send a request. Return status, headers and JSON, if there is any."""
    content = None if body is None else json.dumps(body)
    line.request(method, path, content, {"Host": HOST, **headers})
    answer = line.getresponse()
    text = answer.read()
    with suppress(ValueError):
        return answer.status, dict(answer.getheaders()), json.loads(text)
    return answer.status, dict(answer.getheaders()), text


@contextmanager
def nginx(folder: Path, ports: tuple[int, int]) -> Iterator[Front]:
    """Run nginx with `ops/nginx.conf`, with changed paths and ports."""
    home = folder / "nginx"
    home.mkdir()
    _certify(home)
    port, plain = free_port(), free_port()
    site = (ROOT / "ops/nginx.conf").read_text()
    for before, after in (
        ("127.0.0.1:3061", f"127.0.0.1:{ports[0]}"),
        ("127.0.0.1:3062", f"127.0.0.1:{ports[1]}"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/ssl/mana-credits", str(home)),
    ):
        assert site.count(before) >= 1, before
        site = site.replace(before, after)
    temporary = "".join(
        f"{kind}_temp_path {home}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(
        f"worker_processes 2; pid {home}/pid; error_log {home}/error.log;\n"
        f"events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{temporary}\n{site}\n}}\n"
    )
    command = [servers.executable("nginx"), "-c", f"{home}/nginx.conf", "-g", "daemon off;"]
    command += ["-e", f"{home}/error.log"]
    with servers.process(command, home, port):
        yield Front("https", port)


def _certify(home: Path) -> None:
    wanted = f"-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={HOST}"
    places = ("-keyout", f"{home}/privkey.pem", "-out", f"{home}/fullchain.pem")
    command = ["openssl", "req", "-x509", *wanted.split(), *places]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[Front | None]:
    """Run Prometheus with `ops/prometheus/`, faster and on other ports. Yield None without it."""
    if shutil.which("prometheus") is None:
        yield None
        return
    home = folder / "prometheus"
    shutil.copytree(ROOT / "ops/prometheus", home)
    text = (home / "scrape.yml").read_text()
    text = text.replace("127.0.0.1:3061", f"127.0.0.1:{target}").replace("15s", "1s")
    (home / "scrape.yml").write_text(f"global: {{evaluation_interval: 1s}}\n{text}")
    port = free_port()
    command = [servers.executable("prometheus"), f"--config.file={home}/scrape.yml"]
    command += [f"--storage.tsdb.path={home}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with servers.process([*command, "--log.level=error"], home, port):
        yield Front("http", port)
