"""docs/openapi.yaml describes every element, and for each operation only its own parts."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mana_credits import __version__
from tests.declared import document, operations

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS: dict[str, Any] = document()["components"]["schemas"]
every_operation = pytest.mark.parametrize("name", operations())


def test_its_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert document()["info"]["version"] == __version__ == project["version"]


@every_operation
def test_an_operation_has_a_summary_a_known_tag_and_its_security(name: str) -> None:
    path, _, operation = operations()[name]

    assert 5 <= len(operation["summary"]) <= 100
    assert operation["description"]
    (tag,) = operation["tags"]
    assert path.startswith(f"/api/v1/{tag}") or (tag == "monitoring" and path == f"/{name}")
    assert tag in {one["name"] for one in document()["tags"]}
    scheme = {"internal": ["serviceKey"], "webhooks": [], "monitoring": []}.get(tag, ["userToken"])
    public = {"anchors", "gift", "packages", "operations", "pricing", "statement_keys"}
    expected = [] if name in public else scheme
    assert operation["security"] == [{one: []} for one in expected]


@every_operation
def test_a_body_is_json_and_an_answer_is_described(name: str) -> None:
    _, _, operation = operations()[name]

    if "requestBody" in operation:
        assert list(operation["requestBody"]["content"]) == ["application/json"]
    for response in operation["responses"].values():
        assert response["description"]
        kinds = {"application/json", *(["text/csv"] if name.endswith("_csv") else [])}
        assert set(response.get("content", {})) <= kinds
        assert "X-Request-Id" in response["headers"]


@every_operation
def test_an_operation_has_only_the_statuses_that_its_kind_has(name: str) -> None:
    _, method, operation = operations()[name]
    statuses = set(operation["responses"])
    parameters = {one["name"] for one in operation["parameters"]}

    assert ("401" in statuses) == bool(operation["security"])
    assert ("413" in statuses) == ("requestBody" in operation)
    assert ("304" in statuses) == ("If-None-Match" in parameters)
    assert ("402" in statuses) <= (method == "post")
    assert ("409" in statuses) <= (method in {"post", "put", "delete"})
    assert ("429" in statuses) == (name in {"gift", "redeem_gift"})
    for status in statuses & {"429", "503"}:
        assert "Retry-After" in operation["responses"][status]["headers"]


@every_operation
def test_every_parameter_is_described_and_bounded(name: str) -> None:
    for parameter in operations()[name][2]["parameters"]:
        assert parameter["description"], parameter
        if parameter["in"] == "path":
            assert {"format", "maxLength"} & set(parameter["schema"]), parameter


def properties() -> Iterator[tuple[str, str, Any]]:
    for component, schema in SCHEMAS.items():
        for name, described in schema.get("properties", {}).items():
            yield component, name, described


def test_every_field_is_described() -> None:
    without = [
        f"{component}.{name}"
        for component, name, described in properties()
        if not described.get("description")
    ]

    assert without == [], "give these fields a help_text"


def test_every_component_is_described() -> None:
    without = [name for name, schema in SCHEMAS.items() if not schema.get("description")]

    assert [name for name in without if not name.endswith("List")] == []


def test_names_of_components_are_descriptive() -> None:
    bodies = {
        next(iter(operation["requestBody"]["content"].values()))["schema"].get("$ref", "")
        for _, _, operation in operations().values()
        if "requestBody" in operation
    } - {""}

    for reference in bodies:
        assert re.fullmatch(r"#/components/schemas/([A-Z][a-z]+){2,}", reference)
        assert reference.endswith("Request")
    assert not set(SCHEMAS) & {"Start", "Create", "Use", "Used", "Commit", "Refund", "Activate"}


def test_strings_that_are_taken_are_bounded() -> None:
    unbounded = [
        f"{component}.{name}"
        for component, name, described in properties()
        if component.endswith("Request")
        and "string" in str(described.get("type"))
        and not {"maxLength", "enum", "format"} & set(described)
    ]

    assert unbounded == []


def test_a_key_in_the_header_is_taken_wherever_one_in_the_body_is() -> None:
    for _, _, operation in operations().values():
        content = operation.get("requestBody", {}).get("content", {})
        for media in content.values():
            component = media["schema"].get("$ref", "").rpartition("/")[2]
            schema = SCHEMAS.get(component, {})
            forms = [SCHEMAS[one["$ref"].rpartition("/")[2]] for one in schema.get("anyOf", [])]
            in_body = any(
                "idempotencyKey" in form["properties"] for form in forms or [schema] if form
            )
            in_header = "Idempotency-Key" in {one["name"] for one in operation["parameters"]}
            assert in_body == in_header, operation["operationId"]


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name.endswith("Request")])
def test_an_optional_field_of_a_body_may_be_null(name: str) -> None:
    schema = SCHEMAS[name]
    optional = schema.get("properties", {}).keys() - set(schema.get("required", []))

    for field in optional:
        described = schema["properties"][field]
        assert None in described.get("enum", [None]), field
        kinds = [described, *described.get("anyOf", []), *described.get("oneOf", [])]
        assert any("null" in one.get("type", []) for one in kinds), field


def test_no_amount_is_a_multiple_of_its_smallest_step() -> None:
    """Validators compute with doubles, in which 0.3 is not a multiple of 0.0001."""
    assert "multipleOf" not in json.dumps(SCHEMAS)
