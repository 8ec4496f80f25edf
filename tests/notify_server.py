"""A mana-notify on loopback that accepts notifications over HTTP.

Like the real one, it recognises duplicates by `externalId` in the body, and sends e-mail only to
`recipient`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class NotifyServer:
    """`received` has all requests; `answers` the statuses of the next ones, then 200.

    `mails` has the sent e-mails by `externalId`: `to` (empty without a recipient) and `html`.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.mails: dict[str, dict[str, str]] = {}
        self.url = ""


@contextmanager
def serving() -> Iterator[NotifyServer]:
    """Serve during the context."""
    notify = NotifyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            notify.received.append(
                {
                    "path": self.path,
                    "service_key": self.headers["X-Service-Key"],
                    "key": body.get("externalId"),
                    "body": body,
                }
            )
            status = notify.answers.pop(0) if notify.answers else 200
            if status == 200:
                mail = {"to": body.get("recipient", ""), "html": body["body"]}
                notify.mails.setdefault(body["externalId"], mail)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    notify.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield notify
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
