"""The documentation: links, file names and commands exist, and examples work."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import get_commands

from mana_credits.dev.sandbox.demo_operators import seed_desk
from mana_credits.dev.sandbox.seed import seed, seed_packages
from tests import running
from tests.environment import PROVIDER, SERVICE_KEY

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WITH_EXAMPLES = [path for path in PAGES if re.search(r"(?m)^curl ", path.read_text())]
FOLDERS = "ops|docs|tests|templates|static|credits|gifts|webhooks|internal_api|mana_credits"
SEPARATOR = "\x1e"


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub creates for a page's headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", path.read_text())
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def links(path: Path) -> Iterator[str]:
    text = re.sub(r"(?s)```.*?```", "", path.read_text())
    yield from re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_has_a_target(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


def test_every_picture_is_used_and_has_an_alternative_text() -> None:
    shown = {
        (page.parent / target).resolve(): words
        for page in PAGES
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text())
    }

    assert set(shown) == set((ROOT / "docs" / "pictures").iterdir())
    assert all(shown.values())
    assert sum(picture.stat().st_size for picture in shown) < 1_500_000


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_named_file_exists(page: Path) -> None:
    text = re.sub(r"(?s)```.*?```", "", page.read_text())

    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]+\.\w+)", text)

    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_named_command_and_target_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))

    commands = set(re.findall(r"manage\.py ([a-z_]+)", text))

    assert commands - set(get_commands()) == set()
    assert set(re.findall(r"`make ([a-z-]+)`", text)) - targets == set()


def test_every_table_that_new_code_goes_into_exists() -> None:
    named = set(re.findall(r"`([A-Z_]+)`", (ROOT / "CONTRIBUTING.md").read_text()))
    code = "".join(path.read_text() for path in ROOT.glob("mana_credits/back_office/**/*.py"))

    tables = {name for name in named if re.search(rf"(?m)^{name}\b.* = ", code)}

    assert named - tables == {"DATABASE_URL"}


class Example(NamedTuple):
    """A command and its expected output. `…` matches any text."""

    command: str
    printed: str

    def matches(self, output: str) -> bool:
        parts = (re.escape(part) for part in self.printed.split("…"))
        return re.fullmatch(".*".join(parts), output.strip(), re.DOTALL) is not None


def examples(page: Path) -> list[Example]:
    """Return the commands that call the API in a page's shell blocks."""
    blocks = re.findall(r"(?s)```sh\n(.*?)```", page.read_text())
    found: list[Example] = []
    for block in blocks:
        if "$API" not in block and "API=" not in block:
            continue
        joined = block.replace("\\\n", "\\\0")
        for line in joined.splitlines():
            if line.startswith("# ") and found:
                printed = re.sub(r"\s{3,}.*", "", line.removeprefix("# "))
                found[-1] = Example(found[-1].command, printed)
            elif line.strip() and "=…" not in line:
                found.append(Example(line.replace("\\\0", "\\\n"), ""))
    return found


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda path: path.name)
@pytest.mark.slow
def test_the_examples_of_a_page_work(page: Path) -> None:
    seed()
    seed_desk()
    seed_packages()
    typed = examples(page)
    script = 'curl() { command curl -sS "$@"; }\nset -eu\n' + "\n".join(
        f"printf '{SEPARATOR}'\n{one.command}" for one in typed
    )
    with running.service(WEB_CONCURRENCY="1") as service:
        run = subprocess.run(
            ["bash", "-c", script.replace("localhost:3061", f"127.0.0.1:{service.port}")],
            env={**os.environ, "TOKEN": PROVIDER.token("demo-alice"), "KEY": SERVICE_KEY},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    outputs = run.stdout.split(SEPARATOR)[1:]

    assert (run.returncode, run.stderr) == (0, "")
    for one, output in zip(typed, outputs, strict=True):
        assert one.matches(output), f"{one.command}\nprinted {output}\nnot {one.printed}"
    assert len([one for one in typed if one.printed]) >= 3
