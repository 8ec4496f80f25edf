"""Signals that stop a long command after its current step, at the latest after some seconds."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from types import FrameType

import structlog

# Supervisors usually send SIGKILL after ten seconds; the difference is left for the log.
GRACE_SECONDS = 8.0
LOG_SECONDS = 1.0

logger = structlog.get_logger(__name__)


@contextmanager
def stopped_by(*signals: signal.Signals, grace_seconds: float = GRACE_SECONDS) -> Iterator[Event]:
    """Yield an event that `signals` set; end the process if the block does not end in time.

    The main thread may be stuck where Python runs no signal handler: in a socket, a lock or a DNS
    lookup. Therefore a second thread receives the signal and ends the process with exit code 1
    after `grace_seconds`. PostgreSQL then rolls back the open transaction. Call this in the main
    thread only.
    """
    stop, finished = Event(), Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watchdog = Thread(target=_watch, args=(reader, stop, finished, grace_seconds), daemon=True)
    wakeup_before = signal.set_wakeup_fd(writer)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    watchdog.start()
    try:
        yield stop
    finally:
        finished.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        os.close(writer)  # the watchdog reads end of file and returns
        watchdog.join()
        os.close(reader)


def _watch(reader: int, stop: Event, finished: Event, grace_seconds: float) -> None:
    if not os.read(reader, 1):
        return
    stop.set()
    if not finished.wait(grace_seconds):
        stuck = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
        log = Thread(target=_log_stuck, args=(stuck, grace_seconds), daemon=True)
        log.start()  # in its own thread: the process may be stuck in the log itself
        log.join(LOG_SECONDS)
        os._exit(1)


def _log_stuck(frame: FrameType | None, seconds: float) -> None:
    steps = traceback.extract_stack(frame)[-8:]
    where = [f"{step.filename}:{step.lineno} {step.name}" for step in steps]
    logger.error("stopped_amid_a_step", after_seconds=seconds, at=where)
    with suppress(OSError):
        sys.stdout.flush()
