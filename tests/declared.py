"""Checks every API response in tests against docs/openapi.yaml."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from credits.api.error_bodies import camel_case

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"
VARIABLE = re.compile(r"<\w+:(\w+)>")
# Responses of any route: an unknown host, a wrong method, a defect.
OF_ALL = {(400, "bad_request"), (405, "method_not_allowed"), (500, "internal_error")}


@cache
def document() -> Any:
    """Return the OpenAPI document."""
    return yaml.load(DOCUMENT.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def operations() -> dict[str, tuple[str, str, Any]]:
    """Return path, method and description of each operation by its id."""
    return {
        operation["operationId"]: (path, method, operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


def assert_declared(answer: Any) -> None:
    """Check that the operation declares this status and, for an error, its code."""
    operation = _operation(answer)
    if operation is None:
        return
    status = answer.status_code
    declared = operation["responses"].get(str(status))
    if status < 400:
        assert declared, f"{operation['operationId']} does not declare {status}"
        return
    media = declared["content"]["application/json"] if declared else {}
    if "examples" not in media and declared:  # `/ready` says what is missing and is no refusal
        return
    code = answer.json()["code"]
    examples = media.get("examples", {})
    assert code in examples or (status, code) in OF_ALL, (
        f"{operation['operationId']} does not declare {status} {code}: name the error in its"
        " view's `refuses` and run `make schema`"
    )


def _operation(answer: Any) -> Any:
    try:
        route = answer.resolver_match.route
    except Exception:  # noqa: BLE001  # nothing is at that path
        return None
    path = "/" + VARIABLE.sub(lambda match: f"{{{camel_case(match[1])}}}", route)
    return document()["paths"].get(path, {}).get(answer.request["REQUEST_METHOD"].lower())
