"""A server's network: an HAProxy that passes its connections on, and can be cut."""

import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bench.failover.node import free_port

PROGRAM = "/usr/sbin/haproxy"
PASS_ON = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
"""


class Network:
    """Passes on what arrives at `ports[name]` to the port `targets[name]`.

    Cut, the network is silent: connections stay open and nothing comes through, as when a cable
    is pulled. A process that ended would close them.
    """

    def __init__(self, targets: Mapping[str, int]) -> None:
        self.ports = {name: free_port() for name in targets}
        listeners = (
            f"listen {name}\n    bind 127.0.0.1:{self.ports[name]}\n"
            f"    server target 127.0.0.1:{target}\n"
            for name, target in targets.items()
        )
        self._configuration = PASS_ON + "".join(listeners)
        self._proxy: Proxy | None = None

    def start(self, configuration: Path) -> None:
        """Start to pass on; `configuration` is the file that is written for HAProxy."""
        self._proxy = Proxy(self._configuration, configuration)

    def cut(self) -> None:
        """Let nothing through."""
        self._signal(signal.SIGSTOP)

    def restore(self) -> None:
        """Let everything through again, and first what was on its way."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it."""
        if self._proxy:
            self._proxy.stop()

    def _signal(self, number: signal.Signals) -> None:
        assert self._proxy, "the network was not started"
        self._proxy.process.send_signal(number)


class Proxy:
    """A running HAProxy with this configuration, which is written to `path`."""

    def __init__(self, configuration: str, path: Path) -> None:
        path.write_text(configuration)
        self.process = subprocess.Popen(
            [PROGRAM, "-db", "-f", str(path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Kill it; it may be stopped."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


class Address(NamedTuple):
    """Where HAProxy reaches a server and the REST API of its Patroni."""

    port: int
    api_port: int


def to_the_primary(template: str, port: int, members: list[Address]) -> str:
    """Return `ops/haproxy.cfg` for these members, listening at `port` on loopback."""
    lines = [line for line in template.splitlines() if not line.lstrip().startswith("server ")]
    servers = [
        f"    server db{number} 127.0.0.1:{one.port} check port {one.api_port}"
        for number, one in enumerate(members, 1)
    ]
    text = "\n".join([*lines, *servers, ""])
    return text.replace("bind *:5432", f"bind 127.0.0.1:{port}")
