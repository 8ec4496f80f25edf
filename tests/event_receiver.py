"""A receiver of events on loopback, with the answers that a test wants."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

from tests import loopback
from tests.loopback import Answer, Post


class Received(NamedTuple):
    """A request: its body, its headers in lower case, and when it was answered."""

    body: bytes
    headers: Mapping[str, str]

    @property
    def content(self) -> dict[str, Any]:
        """Return the body's JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def key(self) -> str:
        """Return the id of the message."""
        return self.headers["webhook-id"]


class EventReceiver:
    """`received` has all requests. `answer` returns the status for each and may be replaced."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.taken: list[Received] = []
        self.answer: Callable[[Received], int] = lambda request: 204
        self.headers: dict[str, str] = {}
        self.seconds = 0.0
        self.host = ""
        self.lock = Lock()

    @property
    def url(self) -> str:
        """Return the URL."""
        return f"http://{self.host}/events"

    def sequences(self) -> dict[str, list[int]]:
        """Return the sequences of the requests that were answered with 2xx, per user."""
        found: dict[str, list[int]] = {}
        for request in self.taken:
            content = request.content
            found.setdefault(content["data"]["userId"], []).append(content["sequence"])
        return found


def signed_by(request: Received, secret: str) -> bool:
    """Return whether a signature of the request was made with the secret, by the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{request.key}.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in request.headers["webhook-signature"].split(" ")


@contextmanager
def serving() -> Iterator[EventReceiver]:
    """Serve during the context."""
    receiver = EventReceiver()

    def answer(post: Post) -> Answer:
        request = Received(post.body, post.headers)
        with receiver.lock:
            receiver.received.append(request)
            status = receiver.answer(request)
        time.sleep(receiver.seconds)
        if 200 <= status < 300:
            with receiver.lock:
                receiver.taken.append(request)
        return Answer(status, receiver.headers)

    with loopback.serving(answer) as receiver.host:
        yield receiver
