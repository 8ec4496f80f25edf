"""The same three servers under Debian's Patroni and etcd, which promote automatically."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from bench.failover.cluster import WAIT_SECONDS, Cluster
from bench.failover.network import PROGRAM as HAPROXY
from bench.failover.network import Address, Network, Proxy, to_the_primary
from bench.failover.node import DATABASE, Node, as_plain_user, own
from mana_credits.dev.embedded_postgres import temporary_server
from tests.loopback import free_port

PROGRAMS = ("/usr/bin/patroni", "/usr/bin/etcd", HAPROXY)
TO_THE_PRIMARY = Path("ops/haproxy.cfg")
# Patroni requires ttl >= loop_wait + 2 * retry_timeout. Its defaults are 30, 10 and 10.
TIMES = {"ttl": 10, "loop_wait": 2, "retry_timeout": 3}
KINDS = ("all", "replication")
SETTINGS = {"wal_log_hints": "on", "max_connections": 60, "hot_standby": "on"}


class Member(Node):
    """A server that its own Patroni starts, promotes and rejoins."""

    def __init__(self, name: str, folder: Path, port: int, etcd_port: int) -> None:
        super().__init__(name, folder, port)
        self.api_port = free_port()
        self.network = Network({"postgresql": port, "api": self.api_port, "etcd": etcd_port})
        self.patroni: subprocess.Popen[bytes] | None = None

    @property
    def public_port(self) -> int:
        """Return the port for all but its own Patroni: behind a network that can be cut."""
        return self.network.ports["postgresql"]

    def start(self) -> None:
        """Start Patroni, which starts PostgreSQL later."""
        self.folder.mkdir(exist_ok=True)
        own(self.folder)
        # Patroni reads YAML, of which JSON is a subset.
        configuration = self.folder / "patroni.json"
        configuration.write_text(json.dumps(self._configuration()))
        with (self.folder / "patroni.log").open("ab") as log:
            self.patroni = subprocess.Popen(
                [PROGRAMS[0], str(configuration)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"},
                **as_plain_user(),
            )

    def kill(self) -> None:
        """Kill Patroni and PostgreSQL with SIGKILL, as a power failure does."""
        if self.patroni:
            self.patroni.kill()
        super().kill()
        if self.patroni:
            self.patroni.wait()

    def remove(self) -> None:
        """Stop the member and its network, and delete its folder."""
        self.network.remove()
        super().remove()

    def _configuration(self) -> dict[str, Any]:
        user = {"username": "postgres", "password": "postgres"}
        replication = {"username": "replicator", "password": "replicator"}
        return {
            "scope": "mana",
            "name": self.name,
            "restapi": _behind(self.network.ports["api"], self.api_port),
            # Without `use_proxies`, Patroni asks etcd for its address and bypasses the network.
            "etcd3": {"hosts": [f"127.0.0.1:{self.network.ports['etcd']}"], "use_proxies": True},
            "bootstrap": {
                "dcs": {
                    **TIMES,
                    "synchronous_mode": True,
                    "synchronous_mode_strict": True,
                    "master_start_timeout": 0,  # replace a dead primary instead of restarting it
                    "postgresql": {"use_pg_rewind": True, "parameters": SETTINGS},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}],
            },
            "postgresql": {
                **_behind(self.public_port, self.port),
                "data_dir": str(self.data),
                "bin_dir": str(_newest_of_debian()),
                "pgpass": str(self.folder / "pgpass"),
                "pg_hba": [
                    f"host {kind} all 127.0.0.1/32 trust" for kind in ("all", "replication")
                ],
                "authentication": {"superuser": user, "replication": replication, "rewind": user},
                "parameters": {"unix_socket_directories": str(self.folder)},
                # Else a new copy first waits for a checkpoint, which is spread over minutes.
                "basebackup": {"checkpoint": "fast"},
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }


class PatroniCluster(Cluster):
    """A cluster whose primary Patroni chooses."""

    archives = False

    def __init__(self, folder: Path, etcd_port: int) -> None:
        super().__init__(folder)
        self.members = [Member(node.name, folder, node.port, etcd_port) for node in self.nodes]
        self.nodes = list(self.members)
        self.primary = self.nodes[0]
        self.proxy_port = free_port()

    @property
    def routes(self) -> dict[str, str]:
        """Return two routes: several hosts in the URL, and HAProxy."""
        through = make_conninfo(self.url, host="127.0.0.1", port=self.proxy_port)
        return {**super().routes, "HAProxy": through}

    @property
    def proxy_configuration(self) -> str:
        """Return the configuration of the HAProxy in front of all members."""
        addresses = [Address(one.public_port, one.network.ports["api"]) for one in self.members]
        return to_the_primary(TO_THE_PRIMARY.read_text(), self.proxy_port, addresses)

    def create(self) -> None:
        """Start all members and wait until a primary has two standbys."""
        for node in self.members:
            node.network.start(self.folder / f"{node.name}.cfg")
            node.start()
        self._find_primary(self.nodes)
        self.wait_for_standbys(2)
        self.wait_until_confirmed()
        self.primary.ask(f"CREATE DATABASE {DATABASE}")

    def take_over(self) -> None:
        """Wait until another member is the primary."""
        self._find_primary(self.standbys())

    def _find_primary(self, candidates: list[Node]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for node in candidates:
                with suppress(psycopg.Error):
                    if not node.ask("SELECT pg_is_in_recovery()"):
                        self.primary = node
                        return
            time.sleep(0.2)
        raise AssertionError(f"no server became the primary:\n{self._logs()}")

    def bring_back(self, node: Node) -> None:
        """Start Patroni again, which makes its server a standby of the new primary."""
        node.start()

    def _logs(self) -> str:
        texts = [(node.folder / "patroni.log").read_text()[-1500:] for node in self.nodes]
        return "\n".join(texts)


@contextmanager
def cluster() -> Iterator[PatroniCluster]:
    """Run etcd and the members during the context."""
    missing = [program for program in PROGRAMS if not Path(program).exists()]
    assert not missing, f"{missing} are missing: apt-get install patroni etcd-server"
    with temporary_server():  # makes the programs runnable for PostgreSQL's user
        pass
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mana-credits-patroni-")))
        folder.chmod(0o755)
        servers = PatroniCluster(folder, stack.enter_context(_etcd(folder / "etcd")))
        for node in servers.nodes:
            stack.callback(node.remove)
        proxy = Proxy(servers.proxy_configuration, folder / "haproxy.cfg")
        stack.callback(proxy.stop)
        servers.create()
        yield servers


@contextmanager
def _etcd(folder: Path) -> Iterator[int]:
    port, peer = free_port(), f"http://127.0.0.1:{free_port()}"
    client = f"http://127.0.0.1:{port}"
    urls = {
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "data-dir": str(folder),
    }
    command = [PROGRAMS[1], *(f"--{name}={value}" for name, value in urls.items())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        process.kill()
        process.wait()


def _behind(public_port: int, port: int) -> dict[str, str]:
    return {"listen": f"127.0.0.1:{port}", "connect_address": f"127.0.0.1:{public_port}"}


def _newest_of_debian() -> Path:
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
