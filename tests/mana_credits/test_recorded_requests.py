"""The API accepts every request of the earlier service, and only the guide's additions to them.

`tests/recorded/requests.json` has the earlier service's routes with the fields of their bodies and
their parameters. The description of this API has the current ones.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.mana_credits.test_recorded_answers import table

ROOT = Path(__file__).parents[2]
EARLIER: dict[str, list[str]] = json.loads((ROOT / "tests/recorded/requests.json").read_text())
DESCRIPTION = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
METHODS = {"get", "post", "put", "delete"}
SHARED = {
    "X-Request-Id": "all",
    "X-App-Id": "all internal",
    "Idempotency-Key": "all that move credits",
    "idempotencyKey": "all that move credits",
    "cursor": "all lists",
}
# `credits` is another name of `totalCredits`, which the description does not mention.
OTHER_NAMES = {("POST /api/v1/gifts", "credits")}


def fields(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the names of a schema's properties, with those of its alternatives."""
    if "$ref" in schema:
        yield from fields(DESCRIPTION["components"]["schemas"][schema["$ref"].split("/")[-1]])
    yield from schema.get("properties", {})
    for kind in ("oneOf", "anyOf", "allOf"):
        for part in schema.get(kind, []):
            yield from fields(part)


def current() -> dict[str, set[str]]:
    """Return the routes of this API with the fields and parameters that each accepts."""
    routes: dict[str, set[str]] = {}
    for path, methods in DESCRIPTION["paths"].items():
        for method in METHODS & methods.keys():
            route = methods[method]
            bodies = route.get("requestBody", {}).get("content", {}).values()
            names = {name for body in bodies for name in fields(body["schema"])}
            parameters = (one for one in route.get("parameters", []) if one["in"] != "path")
            routes[f"{method.upper()} {path}"] = names | {one["name"] for one in parameters}
    return routes


def additions() -> set[tuple[str, str]]:
    """Return the new routes and the new fields of the earlier routes.

    Headers, idempotency keys and the paging of lists are listed once.
    """
    found = {(route, "new") for route in current().keys() - EARLIER.keys()}
    for route, names in EARLIER.items():
        for name in current()[route] - set(names):
            found.add((SHARED.get(name, route), f"+{name}"))
    return found


@pytest.mark.parametrize("route", EARLIER)
def test_every_field_of_an_earlier_request_is_still_read(route: str) -> None:
    missing = set(EARLIER[route]) - current()[route]

    assert {(route, name) for name in missing} <= OTHER_NAMES


def test_every_addition_to_the_earlier_requests_is_in_the_guide() -> None:
    listed = table("Compared with earlier requests")

    assert {(request.strip("`"), change.strip("`")) for request, change, _ in listed} == additions()
    assert all(use for _, _, use in listed)
