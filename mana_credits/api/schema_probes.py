"""The probes in the OpenAPI schema: plain Django views, which drf-spectacular does not find."""

from typing import Any

from mana_credits.api.examples import EXAMPLES
from mana_credits.api.schema_operations import REQUEST_ID
from mana_credits.api.schema_refusals import Refusal, headers, responses

SCHEMAS: dict[str, dict[str, Any]] = {
    "Health": {
        "type": "object",
        "description": "The process is alive.",
        "required": ["status", "service", "timestamp"],
        "properties": {
            "status": {"type": "string", "const": "ok", "description": "Always `ok`."},
            "service": {
                "type": "string",
                "const": "mana-credits",
                "description": "The service's name.",
            },
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "The process's time.",
            },
        },
    },
    "Readiness": {
        "type": "object",
        "description": "Whether requests can be served.",
        "required": ["status"],
        "properties": {
            "status": {
                "type": "string",
                "enum": ["ready", "unavailable"],
                "description": "`ready`, or `unavailable` with status 503.",
            },
            "missing": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What is missing, when unavailable: the database, migrations.",
            },
        },
    },
}
UNKNOWN_HOST = Refusal(
    400, "bad_request", "Bad request", "The header `Host` is not one of ALLOWED_HOSTS."
)


def paths() -> dict[str, Any]:
    """Return the paths of the probes."""
    health = _operation("health", "Whether the process is alive; asks no database.", "Health")
    ready = _operation("ready", "Whether requests can be served.", "Readiness")
    ready["responses"]["503"] = {
        "description": "Requests cannot be served; `missing` says why.",
        "headers": headers("X-Request-Id", "Retry-After"),
        "content": _content("Readiness", {"status": "unavailable", "missing": ["database"]}),
    }
    return {"/health": {"get": health}, "/ready": {"get": ready}}


def _operation(name: str, description: str, schema: str) -> dict[str, Any]:
    succeeded = {
        "description": SCHEMAS[schema]["description"],
        "headers": headers("X-Request-Id"),
        "content": _content(schema, EXAMPLES.get(name, {}).get("response")),
    }
    return {
        "operationId": name,
        "description": description,
        "summary": description.rstrip("."),
        "parameters": [
            {
                "in": REQUEST_ID.location,
                "name": REQUEST_ID.name,
                "schema": REQUEST_ID.type,
                "description": REQUEST_ID.description,
            }
        ],
        "tags": ["monitoring"],
        "security": [],
        "responses": {"200": succeeded, **responses([UNKNOWN_HOST])},
    }


def _content(schema: str, example: Any) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"application/json": {"schema": reference, "example": example}}
