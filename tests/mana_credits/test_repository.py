"""The repository's root files: present and correct."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile."""
    found = re.search(rf"(?m)^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text())
    assert found
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in found[1].splitlines()]


def test_the_hooks_run_what_make_lint_runs_and_download_nothing() -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]

    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == recipe("lint")
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


def test_no_target_starts_a_script_by_the_path_of_its_installation() -> None:
    """The first line of a script in .venv names that path, which is another one after a move."""
    commands = re.findall(r"(?:^|\s)(\$\(BIN\)/\S+ +\S+)", (ROOT / "Makefile").read_text())
    compiled = {"ruff", "uv"}

    assert len(commands) > 20
    assert {re.split(r"[/ ]", one)[1] for one in commands} == {"python", *compiled}


def test_only_make_test_leaves_slow_tests_out() -> None:
    [quick] = recipe("test")
    whole = [line for line in recipe("check") if "-m pytest" in line]

    assert "--quick" in quick
    assert len(whole) == 1
    assert "--quick" not in whole[0]
    assert "make check\n" in (ROOT / ".ci/run").read_text()


def test_the_licence_is_the_one_that_the_project_names() -> None:
    text = (ROOT / "LICENSE").read_text()

    assert PROJECT["license"] == "Apache-2.0"
    assert settings.SPECTACULAR_SETTINGS["LICENSE"]["identifier"] == PROJECT["license"]
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_newest_section_of_the_changelog_is_what_is_not_released() -> None:
    sections = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text())
    released = [re.fullmatch(r"(\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)", one) for one in sections[1:]]

    assert sections[0] == "Unreleased"
    assert None not in released
    assert not released or released[0][1] == PROJECT["version"]  # type: ignore[index]


def test_the_first_screen_of_the_readme_shows_what_it_is_and_how_it_starts() -> None:
    screens = (ROOT / "README.md").read_text().splitlines()

    assert any(line.startswith("![") for line in screens[:10])
    assert "## Who it is for" in screens[:15]
    assert {"make run", "make test"} <= {line[:9].strip() for line in screens[:60]}
