"""Running the application for one request and sending its response."""

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from uuid import uuid4

from gunicorn.http import wsgi

from mana_credits.web_server import refusals
from mana_credits.web_server.connection import ClientGone, Connection


class WorkerResponse(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response, with `Connection: close` once the worker is stopping."""

    def __init__(self, request: Any, connection: Connection, cfg: Any, worker: Any) -> None:
        super().__init__(request, connection, cfg)
        self._worker = worker
        # Views answer HEAD like GET, and gunicorn drops the body. Monitors send HEAD every second.
        self._omits_body_warned = True

    def default_headers(self) -> list[str]:
        """Return the server's own headers, computed just before they are sent."""
        if not self._worker.alive:
            self.force_close()
        major, minor = self.req.version
        headers = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_date(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        if self.chunked:
            headers.append("Transfer-Encoding: chunked\r\n")
        return headers


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    """Return a Unix time as the `Date` header. All responses of a second share it."""
    return formatdate(seconds, usegmt=True)


def respond(worker: Any, connection: Connection) -> None:
    """Run the application for the connection's request. The connection keeps unsent bytes.

    Raises ClientGone if the client stops reading the response, or if the response is cut off.
    """
    request, body_too_large = connection.take_request()
    # A client that asked to close the connection sends nothing after a complete request.
    connection.may_send_more = body_too_large or not request.should_close()
    answer, environ = wsgi.create(
        request,
        connection,
        connection.peer,
        connection.server,
        worker.cfg,
        response_class=WorkerResponse,
        response_args=(worker,),
    )
    environ["wsgi.multithread"] = True
    worker.count_request()
    try:
        _write(worker.wsgi(environ, answer.start_response), answer, connection)
    except ClientGone:
        raise
    except Exception as error:  # noqa: BLE001  # of the application or of its answer
        _fail(worker, connection, answer, error)
    else:
        connection.closes = answer.should_close()


def _write(parts: Any, answer: Any, connection: Connection) -> None:
    """Send the parts of the response. Flush before `close`, which ends the request for Django."""
    try:
        for part in parts:
            answer.write(part)
        answer.close()
        connection.flush()
    finally:
        if hasattr(parts, "close"):
            parts.close()


def _fail(worker: Any, connection: Connection, answer: Any, error: Exception) -> None:
    """Answer 500. Cut off a response that has begun, so that it does not seem complete."""
    worker.log.error("Error handling request", exc_info=error)
    if answer.headers_sent:
        raise ClientGone from error
    connection.closes = connection.may_send_more = True
    connection.sendall(refusals.answer(error, uuid4().hex))
