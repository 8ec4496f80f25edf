"""A mana-notify on loopback that accepts notifications over HTTP.

Like the real one, it recognises duplicates by `externalId` in the body, and sends e-mail only to
`recipient`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import loopback
from tests.loopback import Answer, Post


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

    def answer(post: Post) -> Answer:
        body = json.loads(post.body)
        notify.received.append(
            {
                "path": post.path,
                "service_key": post.headers["x-service-key"],
                "key": body.get("externalId"),
                "body": body,
            }
        )
        status = notify.answers.pop(0) if notify.answers else 200
        if status == 200:
            mail = {"to": body.get("recipient", ""), "html": body["body"]}
            notify.mails.setdefault(body["externalId"], mail)
        return Answer(status)

    with loopback.serving(answer) as host:
        notify.url = f"http://{host}"
        yield notify
