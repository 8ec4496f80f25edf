"""What operators and machines ask: alive, ready, metrics."""

from datetime import UTC, datetime

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from mana_credits import metrics
from mana_credits.api.errors import RETRY_AFTER_SECONDS


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Answer that the process is alive; asks nothing else."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    return JsonResponse({"status": "ok", "service": "mana-credits", "timestamp": now})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when requests can be served, else 503 naming what is missing."""
    missing = _missing()
    if not missing:
        return JsonResponse({"status": "ready"})
    return JsonResponse(
        {"status": "unavailable", "missing": missing},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """Return the metrics of all worker processes."""
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _missing() -> list[str]:
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return ["database"]
    return [f"migration {migration.app_label}.{migration.name}" for migration, _ in pending]
