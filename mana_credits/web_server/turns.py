"""A queue that limits how many threads answer at once."""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Lets `count` threads answer at once. Further items wait in order of arrival."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[T] = deque()
        self._lock = Lock()

    def enter(self, one: T) -> T | None:
        """Return `one` if the calling thread may answer it. Otherwise queue it and return None."""
        with self._lock:
            if self._free:
                self._free -= 1
                return one
            self._waiting.append(one)
            return None

    def next(self, again: T | None = None) -> T | None:
        """Queue `again`, if given. Return the next item for the calling thread.

        Returns None, which ends the thread's turn, if no item waits.
        """
        with self._lock:
            if again is not None:
                self._waiting.append(again)
            if self._waiting:
                # The thread keeps its turn, so that no other thread has to wake up for the next
                # item.
                return self._waiting.popleft()
            self._free += 1
            return None

    def take_while(self, overdue: Callable[[T], bool]) -> list[T]:
        """Remove and return the items at the head of the queue as long as they are overdue."""
        with self._lock:
            taken = []
            while self._waiting and overdue(self._waiting[0]):
                taken.append(self._waiting.popleft())
            return taken
