"""Limiting a program's run by signals and by a time limit."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    """Raise SystemExit in the block after `seconds`, or on a signal that stops a program.

    The block can then clean up. Meanwhile, further signals are ignored: a second Ctrl-C would leave
    servers behind.
    """
    before = {number: signal.signal(number, _stop) for number in SIGNALS}
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    is_late = number == signal.SIGALRM
    raise SystemExit("The time limit is over." if is_late else "Stopped.")
