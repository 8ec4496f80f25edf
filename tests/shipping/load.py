"""Clients that spend continuously on kept connections and count failures."""

import http.client
import threading
from contextlib import closing
from types import TracebackType
from typing import Self

from tests.shipping.front import Front, send


class Load:
    """During the context, one client per user spends 1 credit at a time."""

    def __init__(self, front: Front, service_key: str, *, users: int) -> None:
        self._front = front
        self._headers = {"X-Service-Key": service_key}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._spend, args=(n,)) for n in range(users)]
        self._lock = threading.Lock()
        self.answered = 0
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        """Start the clients."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for the running requests and stop."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _spend(self, number: int) -> None:
        body = {"userId": f"user-{number}", "amount": 1, "appId": "chat", "description": "load"}
        with closing(self._front.connect()) as line:
            while not self._over.is_set():
                try:
                    status, _, answer = send(
                        line, "POST", "/api/v1/internal/credits/use", body, self._headers
                    )
                except (OSError, http.client.HTTPException) as error:
                    self._count(repr(error))
                    line.close()
                else:
                    self._count(None if status == 200 else f"{status} {answer}")

    def _count(self, fault: str | None) -> None:
        with self._lock:
            if fault:
                self.faults.append(fault)
            else:
                self.answered += 1
