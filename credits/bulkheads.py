"""Bulkheads: one slow dependency never occupies all threads of a process.

Each dependency that a request may wait for (the auth server, Stripe, one user's rows, a password
hash) has a bulkhead with a few places per process. A request without a place is rejected at once,
so the other threads stay free. Places are counted per process and cost no round trip.
"""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Condition, local

from django.conf import settings
from prometheus_client import Counter

from credits.errors import DomainError

SLOW_KEYS = 10_000  # the newest slow keys, which are remembered

REFUSED = Counter(
    "mana_credits_bulkhead_refusals_total",
    "Requests rejected because too many others wait for the same dependency.",
    ("bulkhead",),
)


class TooBusy(DomainError):
    """Too many requests wait for the same rows, or a row stayed locked; nothing was changed."""

    code = "busy"
    status = 503
    message = "Other requests are waiting for the same data; nothing was changed"
    retry_after = 1


class Bulkhead:
    """A limited number of places for threads of this process that wait for one dependency.

    `settings.BULKHEADS[name]` is the number of places, counted per key where keys are used. A
    thread without a place waits up to `patience` seconds (0: it does not wait). It does not wait if
    all places have been held for longer than `patience`, or if the key is slow: a holder took
    longer than that, and no other one was faster in the meantime. At most `waiters` threads wait at
    the same time (None: any number). `refusal` makes the error that is raised instead. A thread
    that already holds a place for the key enters again without a second one.
    """

    def __init__(
        self,
        name: str,
        *,
        refusal: Callable[[], Exception] = TooBusy,
        patience: float = 0,
        waiters: int | None = None,
    ) -> None:
        self.name = name
        self.patience = patience
        self._free_waiters = inf if waiters is None else waiters
        self._refusal = refusal
        self._changed = Condition()
        self._thread = local()
        self._held: dict[Hashable, dict[object, float]] = {}
        self._fast_at: dict[Hashable, float] = {}  # only of keys in `_held`
        self._slow: dict[Hashable, None] = {}

    @contextmanager
    def place(self, key: Hashable = None) -> Iterator[None]:
        """Hold a place during the block; raise the refusal if none is free."""
        # Per thread: a nested call for the same key must not wait for the place that its own thread
        # holds.
        mine: set[Hashable] = self._thread.__dict__.setdefault("keys", set())
        if key in mine:
            yield
            return
        taken = self._take(key)
        mine.add(key)
        try:
            yield
        finally:
            mine.discard(key)
            self._give_back(key, taken)

    def _take(self, key: Hashable) -> object:
        limit = settings.BULKHEADS[self.name]
        now = time.monotonic()
        with self._changed:
            while len(held := self._held.setdefault(key, {})) >= limit:
                # A dict keeps the order of insertion, so the last holder is the youngest. If even
                # it has held its place for longer than the patience, the dependency is slow and
                # waiting is useless.
                youngest = next(reversed(held.values()))
                left = min(youngest, now) + self.patience - time.monotonic()
                if left <= 0 or key in self._slow or not self._free_waiters:
                    REFUSED.labels(self.name).inc()
                    raise self._refusal()
                self._free_waiters -= 1
                try:
                    self._changed.wait(left)
                finally:
                    self._free_waiters += 1
            # A unique object, so that each holder gives back its own place.
            taken = object()
            held[taken] = time.monotonic()
            return taken

    def _give_back(self, key: Hashable, taken: object) -> None:
        with self._changed:
            held = self._held[key]
            self._judge(key, held.pop(taken), time.monotonic())
            if not held:
                del self._held[key]
                self._fast_at.pop(key, None)
            # All, because the waiting threads wait for different keys.
            self._changed.notify_all()

    def _judge(self, key: Hashable, since: float, now: float) -> None:
        # One fast answer clears the key, so a recovered dependency is used again at once.
        if now - since <= self.patience:
            self._slow.pop(key, None)
            self._fast_at[key] = now
        # Slow only if no other holder was fast since this one began. Otherwise one locked row would
        # make the whole dependency count as slow.
        elif self._fast_at.get(key, since) <= since:
            self._slow[key] = None
            if len(self._slow) > SLOW_KEYS:
                del self._slow[next(iter(self._slow))]
