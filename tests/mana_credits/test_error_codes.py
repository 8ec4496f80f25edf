"""docs/errors.md lists exactly the error codes of the source, with their statuses."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from credits.errors import DomainError
from mana_credits.api import schema_refusals
from mana_credits.api.schema_refusals import Refusal
from mana_credits.web_server import refusals
from tests.declared import operations
from tests.mana_credits.test_architecture import APPS

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = re.compile(r"\.(migrations|dev|gunicorn|web_worker|wsgi)\b")
Codes = set[tuple[str, int]]


def documented(heading: str) -> Codes:
    """Return the codes and statuses in the table below a heading."""
    sections = dict(
        section.split("\n", 1) for section in (ROOT / "docs/errors.md").read_text().split("\n## ")
    )
    rows = re.findall(r"(?m)^\| `(\w+)` \| (\d{3}) \|", sections[heading])
    assert len(rows) == len({code for code, _ in rows})
    return {(code, int(status)) for code, status in rows}


def of_the_domain() -> Codes:
    for app in APPS:
        package = importlib.import_module(app)
        for module in pkgutil.walk_packages(package.__path__, f"{app}."):
            if not ELSEWHERE.search(module.name):
                importlib.import_module(module.name)
    return {(error.code, error.status) for error in below(DomainError) if is_ours(error)}


def below(base: type[DomainError]) -> Iterator[type[DomainError]]:
    for error in base.__subclasses__():
        yield error
        yield from below(error)


def is_ours(error: type[DomainError]) -> bool:
    return error.__module__.split(".")[0] in APPS


def of_the_framework() -> Codes:
    """Return the codes without a DomainError, including those from outside DRF's views."""
    texts = [path.read_text() for app in APPS for path in (ROOT / app).rglob("*.py")]
    plain = [
        (code, int(status))
        for text in texts
        for status, code in re.findall(r"error_response\(\s*(\d{3}),[^,]*,\s*\"([a-z_]+)\"", text)
    ]
    described = [one for one in vars(schema_refusals).values() if isinstance(one, Refusal)]
    return {*plain, *((one.code, one.status) for one in described)}


def of_the_server() -> Codes:
    """Return the codes of the web server, for requests that reach no view."""
    return {(code, status.value) for status, _, code in refusals.MEANINGS.values()}


def of_the_api() -> Codes:
    """Return the codes that openapi.yaml declares for any operation."""
    return {
        (code, int(status))
        for *_, operation in operations().values()
        for status, response in operation["responses"].items()
        for code in next(iter(response.get("content", {"": {}}).values())).get("examples", {})
    }


def test_every_code_of_the_source_is_documented_with_its_status() -> None:
    source = of_the_domain() | of_the_framework() | of_the_server()

    assert documented("The API") | documented("The back office and commands") == source
    assert len(source) > 70


def test_the_codes_of_the_api_are_those_of_its_description() -> None:
    of_all = {("not_found", 404), ("method_not_allowed", 405), *of_the_server()}

    assert documented("The API") == of_the_api() | of_all
    assert not documented("The API") & documented("The back office and commands")
