"""A server's network: an HAProxy that forwards its connections and can be cut."""

import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.loopback import free_port

PROGRAM = "/usr/sbin/haproxy"
PASS_ON = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
"""


class Network:
    """Forwards connections from `ports[name]` to the port `targets[name]`.

    While it is cut, connections stay open but silent, as with a pulled cable. Ending the process
    would close them.
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
        """Start HAProxy with its configuration written to `configuration`."""
        self._proxy = Proxy(self._configuration, configuration)

    def cut(self) -> None:
        """Stop forwarding, without closing connections."""
        self._signal(signal.SIGSTOP)

    def restore(self) -> None:
        """Resume forwarding, starting with data in transit."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop HAProxy."""
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
        """Kill the process, which may be stopped by SIGSTOP."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


class Address(NamedTuple):
    """The ports of a server and of its Patroni's REST API."""

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
