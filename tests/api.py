"""A client of the API for tests: JSON over HTTP, with its own headers."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

from django.db import connection
from django.test import Client

from tests.declared import assert_declared

Answer = Any
T = TypeVar("T")


class Caller:
    """Sends requests to paths below `prefix`. An absolute path is used unchanged."""

    def __init__(self, headers: Mapping[str, str], *, prefix: str) -> None:
        self.headers = dict(headers)
        self.prefix = prefix
        self._client = Client(raise_request_exception=False)

    @classmethod
    def with_token(cls, token: str) -> "Caller":
        """Return a copy of the caller with this token."""
        return cls({"Authorization": f"Bearer {token}"}, prefix="/api/v1/credits/")

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET."""
        return _declared(self._client.get(self._url(path), headers={**self.headers, **headers}))

    def delete(self, path: str) -> Answer:
        """Send a DELETE."""
        return _declared(self._client.delete(self._url(path), headers=self.headers))

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a POST with `body` as JSON; bytes are sent unchanged."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._client.post(
            self._url(path),
            content,
            content_type="application/json",
            headers={**self.headers, **(headers or {})},
        )
        return _declared(answer)

    def put(self, path: str, body: Any) -> Answer:
        """Send a PUT with `body` as JSON."""
        answer = self._client.put(
            self._url(path),
            json.dumps(body).encode(),
            content_type="application/json",
            headers=self.headers,
        )
        return _declared(answer)

    def _url(self, path: str) -> str:
        return path if path.startswith("/") else self.prefix + path


def _declared(answer: Answer) -> Answer:
    assert_declared(answer)
    return answer


def use(amount: float = 1, **fields: Any) -> dict[str, Any]:
    """Return the request body of a spend."""
    return {"amount": amount, "appId": "chat", "description": "GPT-4 message", **fields}


def at_once(times: int, act: Callable[[int], T]) -> list[T]:
    """Call `act(0)` … `act(times - 1)` concurrently, each in its own thread."""
    barrier = Barrier(times)

    def one(index: int) -> T:
        barrier.wait()
        try:
            return act(index)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def statuses(answers: list[Answer]) -> dict[int, int]:
    """Return the number of responses by status."""
    counts: dict[int, int] = {}
    for answer in answers:
        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
    return counts
