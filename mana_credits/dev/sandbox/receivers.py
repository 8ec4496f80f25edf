"""A substitute for mana-notify and for a service that receives events.

It accepts notifications and events, and keeps none. A notification to an address at
`refused.example.test` is refused, as by a mail server that does not know the address. An event
about the user `UNKNOWN_USER` is refused, as by a service that has deleted this user.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

REFUSED = "@refused.example.test"
EVENTS = "/events"
UNKNOWN_USER = "demo-1-0000008"


@contextmanager
def serving(*, port: int = 0) -> Iterator[str]:
    """Serve on loopback during the context. Yield the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="sandbox-receivers", daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds for a read from the client

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if self.path == EVENTS:
            is_refused = body["data"]["userId"] == UNKNOWN_USER
        else:
            is_refused = str(body.get("recipient")).endswith(REFUSED)
        self.send_response(422 if is_refused else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing: the terminal shows the sandbox's own messages."""
