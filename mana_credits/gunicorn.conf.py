"""How gunicorn serves the service; every number can be set from the environment."""

import atexit
import gc
import logging
import os
import select
import shutil
import tempfile
from typing import Any


def _number(name: str, default: int) -> int:
    """Return the number in a variable of the environment; refuse others in a sentence."""
    text = os.environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit():
        raise SystemExit(f"{name} is not a whole number.")
    return int(text)


bind = f"{os.environ.get('HOST', '0.0.0.0')}:{_number('PORT', 3061)}"
wsgi_app = "mana_credits.wsgi"
# Elsewhere than on Linux, where only developers are, gunicorn's own.
worker_class = "mana_credits.web_server.worker.WebWorker" if hasattr(select, "epoll") else "gthread"
workers = _number("WEB_CONCURRENCY", os.cpu_count() or 2)
threads = _number("WEB_THREADS", 4)
preload_app = True
http_parser = "auto"  # the fast one where it is installed

# A worker that does not answer for `timeout` is killed; one that stops has `graceful_timeout` for
# the requests that it has. The proxy in front keeps its connections for less than `keepalive`.
keepalive = 75
timeout = 30
graceful_timeout = 30
# A worker is renewed after so many requests, each at a moment of its own, and loses none.
max_requests = _number("WEB_MAX_REQUESTS", 100000)
max_requests_jitter = max_requests // 10

# A user id of 255 characters, percent-encoded, takes 3,060 bytes of the request line; a token is
# the longest header. Bodies are limited too (settings.MAX_BODY_BYTES,
# MAX_EVENT_BYTES).
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190

# Nothing is written but in temporary folders: the root file system may be read-only.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
control_socket_disable = True
errorlog = "-"
loglevel = "warning"

# A request waits for a locked row for a second, and for the end of a statement not longer than
# somebody waits for the answer. The limit on the client's side holds when the server is frozen or
# waits for a standby, which `statement_timeout` does not end.
os.environ.setdefault("DATABASE_LOCK_TIMEOUT", "1s")
os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT", "10s")
os.environ.setdefault("DATABASE_ANSWER_SECONDS", "12")
# One thread more than may answer at once takes requests. Where the pool has a connection for each,
# a thread keeps its own from request to request.
if _number("DATABASE_POOL_SIZE", 8) > threads:
    os.environ.setdefault("DATABASE_KEPT_SECONDS", "60")


def _forget_counts() -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# Each worker counts into files of its own here; /metrics sums them. The application is loaded
# before `on_starting` and may refuse its settings: then the new folder is removed.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="mana-credits-metrics-")
    atexit.register(_forget_counts)


def on_starting(server: Any) -> None:
    """Stop where settings are unsafe; let gunicorn's own lines join the structured log."""
    from mana_credits.checks import UnsafeSettings, refuse_unsafe

    try:
        refuse_unsafe()
    except UnsafeSettings as error:
        raise SystemExit(f"The service does not start with these settings.\n{error}") from error
    atexit.unregister(_forget_counts)  # from here on `on_exit` does it, and no worker
    log = logging.getLogger("gunicorn.error")
    log.handlers.clear()
    log.propagate = True


def when_ready(server: Any) -> None:
    """Leave what is loaded to no collector; open no connection that no worker would take.

    The workers share that memory with the master as long as nobody touches it, and the
    interpreter's end would look through all of it: half a second for each process.
    """
    from mana_credits.listeners import refuse_newcomers

    gc.collect()
    gc.freeze()

    stop = server.stop

    def stop_listening_first(graceful: bool = True) -> None:
        # After USR2 another master listens at the same sockets.
        if server.reexec_pid == server.master_pid == 0:
            refuse_newcomers(listener.sock for listener in server.LISTENERS)
        stop(graceful)

    server.stop = stop_listening_first


def post_worker_init(worker: Any) -> None:
    """Watch the pool of connections, fetch the keys of tokens in advance, and export spans."""
    from mana_credits import pool_metrics, tracing
    from mana_credits.api.tokens import key_ring

    pool_metrics.watch()
    key_ring.fetch_when_due()
    tracing.export()


def child_exit(server: Any, worker: Any) -> None:
    """Keep a dead worker's counts, but no longer its gauges."""
    from mana_credits import metrics

    metrics.retire(worker.pid)


def on_exit(server: Any) -> None:
    """Remove the counts of this run, unless a new master (after USR2) goes on counting there."""
    if not server.reexec_pid:
        _forget_counts()
