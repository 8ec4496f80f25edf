"""Executes the Dockerfile's build stage in a folder instead of an image."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path


def build(context: Path, *, into: Path) -> list[str]:
    """Create `into/venv` and `into/srv` as in the image. Return the steps."""
    source = into / "srv"
    for name in _taken(context):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(context / name, target)
    (into / "bin").mkdir()
    (into / "bin/python").symlink_to(_python())
    _, stage, *_ = re.split(r"(?m)^FROM ", (context / "Dockerfile").read_text())
    steps = re.findall(r"^RUN ((?:.*\\\n)*.*)$", stage, re.MULTILINE)
    # Already installed on this machine.
    steps = [step for step in steps if not step.startswith("apt-get ")]
    for step in steps:
        subprocess.run(
            ["sh", "-eu", "-c", step],
            cwd=source,
            env={
                **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
                **_of_package_index(),
                "VIRTUAL_ENV": str(into / "venv"),
                "PATH": f"{into}/venv/bin:{into}/bin:/usr/bin:/bin",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "LOCK": "requirements-runtime.lock",
            },
            check=True,
        )
    return steps


def _python() -> Path:
    """Return a Python that every user can run: the system's, if it has our version."""
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    return system if system.exists() else Path(sys.executable).resolve()


def _of_package_index() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


def _taken(context: Path) -> list[str]:
    """Return the committed files that `.dockerignore` admits."""
    lines = (context / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith(("#", "*"))]
    listed = subprocess.run(
        ["git", "ls-files"], cwd=context, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.splitlines() if _lets_pass(rules, name)]


def _lets_pass(rules: list[str], name: str) -> bool:
    taken = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        if name == pattern or name.startswith(f"{pattern}/") or fnmatch(name, pattern):
            taken = rule.startswith("!")
    return taken
