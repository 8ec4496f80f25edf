"""gunicorn's configuration. The environment sets the address, workers, threads and their life."""

import atexit
import gc
import logging
import os
import select
import shutil
import tempfile
from typing import Any

from mana_credits.environment import (
    MOST_WORKERS,
    EnvironmentInvalid,
    web_host,
    web_processes,
    whole_number,
)
from mana_credits.listeners import require_own_address

try:
    host = web_host()
    require_own_address(host)
    port = whole_number("PORT", default=3061, at_most=65535)
    workers = web_processes()
    threads = whole_number("WEB_THREADS", default=4, at_least=1, at_most=MOST_WORKERS)
    # A worker restarts after this many requests. The jitter keeps workers from restarting together.
    # No request is lost.
    max_requests = whole_number("WEB_MAX_REQUESTS", default=100_000)
    pool_size = whole_number("DATABASE_POOL_SIZE", default=8, at_least=1)
except EnvironmentInvalid as error:
    raise SystemExit(str(error)) from None

bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
wsgi_app = "mana_credits.wsgi"
# Only Linux has epoll, which the service's own worker needs. Elsewhere (development only),
# gunicorn's threaded worker runs.
worker_class = "mana_credits.web_server.worker.WebWorker" if hasattr(select, "epoll") else "gthread"
# The application loads before the fork, so that workers share its memory.
preload_app = True
http_parser = "auto"  # the C parser if it is installed

# gunicorn kills a worker that sends no heartbeat for `timeout` seconds. A stopping worker has
# `graceful_timeout` seconds to finish its requests. The proxy in front must close idle connections
# before `keepalive` ends: otherwise it sends a request on a connection that is being closed.
keepalive = 75
timeout = 30
graceful_timeout = 30
max_requests_jitter = max_requests // 10

# A user id of 255 characters takes up to 3,060 bytes in the request line when percent-encoded. The
# longest header is the token. Bodies have their own limits (settings.MAX_BODY_BYTES and
# MAX_EVENT_BYTES).
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190

# By default, a proxy on the same machine may change the path by the header SCRIPT_NAME. If a proxy
# passes on its clients' headers, they could reach the paths that it hides.
forwarder_headers = ""

# Files of the processes are in memory if possible. They are mapped, and a write to a mapped file on
# a full disk kills the process (SIGBUS).
memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
worker_tmp_dir = memory
control_socket_disable = True
errorlog = "-"
loglevel = "warning"

# A request waits at most half a second for a lock and ten seconds for a statement. The
# client-side limit covers a frozen server and a wait for a synchronous standby, which
# `statement_timeout` does not end.
os.environ.setdefault("DATABASE_LOCK_TIMEOUT", "500ms")
os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT", "10s")
os.environ.setdefault("DATABASE_ANSWER_SECONDS", "12")
# One thread more than may answer at once accepts requests. If the pool has a connection for each
# thread, a thread keeps its connection between requests.
if pool_size > threads:
    os.environ.setdefault("DATABASE_KEPT_SECONDS", "60")


def _forget_counts() -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# Each worker process writes its counters to its own files in this directory; /metrics sums them.
# The application loads before `on_starting` and may reject its settings. `atexit` then removes the
# new directory.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(
        prefix="mana-credits-metrics-", dir=memory
    )
    atexit.register(_forget_counts)


def on_starting(server: Any) -> None:
    """Exit if settings are unsafe, and send gunicorn's own messages to the structured log."""
    from mana_credits.checks import UnsafeSettings, refuse_unsafe

    try:
        refuse_unsafe()
    except UnsafeSettings as error:
        raise SystemExit(f"The service does not start with these settings.\n{error}") from error
    atexit.unregister(_forget_counts)  # from here on the master does it in `on_exit`
    log = logging.getLogger("gunicorn.error")
    log.handlers.clear()
    log.propagate = True


def when_ready(server: Any) -> None:
    """Freeze loaded objects, and refuse new connections before the master stops.

    The garbage collector skips frozen objects. Its marks would otherwise copy the memory pages that
    forked workers share with the master, and its last run would add half a second to the exit of
    each process.
    """
    from mana_credits.listeners import refuse_newcomers

    gc.collect()
    gc.freeze()

    stop = server.stop

    def stop_listening_first(graceful: bool = True) -> None:
        # After USR2, another master listens on the same sockets.
        if server.reexec_pid == server.master_pid == 0:
            refuse_newcomers(listener.sock for listener in server.LISTENERS)
        stop(graceful)

    server.stop = stop_listening_first


def post_worker_init(worker: Any) -> None:
    """Start the threads of a worker: pool metrics, token keys, contacts and the export of spans.

    Each starts a thread, and threads do not survive the fork.
    """
    from mana_credits import pool_metrics, tracing
    from mana_credits.api.tokens import key_ring, seen_users

    pool_metrics.watch()
    key_ring.fetch_when_due()
    seen_users.write_when_new()
    tracing.export()


def child_exit(server: Any, worker: Any) -> None:
    """Keep a dead worker's counters, and delete its gauges."""
    from mana_credits import metrics

    metrics.retire(worker.pid)


def on_exit(server: Any) -> None:
    """Delete the counter files, unless a new master (after USR2) still uses them."""
    if not server.reexec_pid:
        _forget_counts()
