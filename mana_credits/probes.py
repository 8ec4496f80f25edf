"""The routes for monitoring: `/health`, `/ready` and `/metrics`."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, wraps

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST

from credits.api.wire_responses import WireResponse
from credits.postgresql import bounded_connection
from mana_credits import metrics
from mana_credits.api.errors import RETRY_AFTER_SECONDS, error_response

READY_SECONDS = 1.8  # maximum time for the answer to `/ready`, also while the database hangs

View = Callable[[HttpRequest], HttpResponse]


def for_reading(view: View) -> View:
    """Reject methods other than GET and HEAD with 405."""

    @wraps(view)
    def reading(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            return view(request)
        return error_response(
            405,
            f'Method "{request.method}" not allowed.',
            "method_not_allowed",
            headers={"Allow": "GET, HEAD"},
        )

    return reading


@for_reading
def health(request: HttpRequest) -> HttpResponse:
    """Return 200 while the process is alive. Does not query the database."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    return WireResponse({"status": "ok", "service": "mana-credits", "timestamp": now})


@for_reading
def ready(request: HttpRequest) -> HttpResponse:
    """Return 200 if the service can handle requests; otherwise 503 with what is missing."""
    missing = _missing()
    if not missing:
        return WireResponse({"status": "ready"})
    return WireResponse(
        {"status": "unavailable", "missing": missing},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


@for_reading
def prometheus(request: HttpRequest) -> HttpResponse:
    """Return the metrics of all worker processes."""
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _missing() -> list[str]:
    try:
        with bounded_connection.within(READY_SECONDS):
            return [*_pending_migrations(), *_missing_limits()]
    except DatabaseError:
        return ["database"]


def _pending_migrations() -> list[str]:
    applied = MigrationRecorder(connection).applied_migrations()
    return [f"migration {app}.{name}" for app, name in _migrations() if (app, name) not in applied]


@cache
def _migrations() -> tuple[tuple[str, str], ...]:
    """Return all migrations of this release, each after its dependencies."""
    graph = MigrationLoader(None).graph
    plans = [graph.forwards_plan(leaf) for leaf in graph.leaf_nodes()]
    return tuple(dict.fromkeys(node for plan in plans for node in plan))


def _missing_limits() -> list[str]:
    """Return the session limits that the pooler fails to set. Without one, the settings do."""
    if not settings.DATABASE_BEHIND_POOLER:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        unlimited: bool = cursor.fetchone()[0] == "0"
    return ["lock_timeout, which the pooler must set"] if unlimited else []
