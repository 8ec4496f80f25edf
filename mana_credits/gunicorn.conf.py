"""How gunicorn serves the service; every number can be set from the environment."""

import os
import shutil
import tempfile
from typing import Any

bind = f"{os.environ.get('HOST', '0.0.0.0')}:{os.environ.get('PORT', '3061')}"
wsgi_app = "mana_credits.wsgi"
worker_class = "mana_credits.draining_worker.DrainingWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", str(os.cpu_count() or 2)))
threads = int(os.environ.get("WEB_THREADS", "4"))
preload_app = True
keepalive = 75
timeout = 30
graceful_timeout = 30
max_requests = int(os.environ.get("WEB_MAX_REQUESTS", "0"))
max_requests_jitter = max_requests // 10
http_parser = "fast"
errorlog = "-"
loglevel = "warning"

os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT", "15s")

# Each worker counts into files of its own here; /metrics sums them.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="mana-credits-metrics-")


def child_exit(server: Any, worker: Any) -> None:
    """Keep a dead worker's counts, but no longer its gauges."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the counts of this run."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
