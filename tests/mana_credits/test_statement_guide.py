"""The lines of docs/statements.md verify a statement without this software."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from credits.reporting import statements
from tests.api import Caller
from tests.factories import give, spend

pytestmark = pytest.mark.django_db

GUIDE = Path(__file__).resolve().parents[2] / "docs/statements.md"
MONTH = f"{datetime.now(UTC):%Y-%m}"


@pytest.fixture
def folder(tmp_path: Path, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a statement of three sheets, the keys and the lines of the guide."""
    monkeypatch.setattr(statements, "MOVEMENTS_PER_SHEET", 2)
    give("alice", 100)
    for _ in range(4):
        spend("alice", 0.1)
    sheets = [alice.get(f"statements/{MONTH}?sheet={sheet}").json() for sheet in (1, 2, 3)]
    (tmp_path / "statement.json").write_text(json.dumps(sheets))
    keys = Caller({}, prefix="").get("/api/v1/statements/keys").content
    (tmp_path / "keys.json").write_bytes(keys)
    (lines,) = re.findall(r"(?s)```python\n(.*?)```", GUIDE.read_text())
    (tmp_path / "verify.py").write_text(lines)
    return tmp_path


def run(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "verify.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_lines_of_the_guide_verify_a_statement(folder: Path) -> None:
    done = run(folder)

    assert done.stderr == ""
    assert done.stdout.startswith(f"alice {MONTH} 0 99.6 ")


def test_the_lines_of_the_guide_find_a_change(folder: Path) -> None:
    file = folder / "statement.json"
    sheets = json.loads(file.read_text())
    head, payload, signature = sheets[1]["jws"].split(".")
    forged = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
    sheets[1]["jws"] = f"{head}.{forged}.{signature}"
    file.write_text(json.dumps(sheets))

    assert "InvalidSignatureError" in run(folder).stderr


def test_the_lines_of_the_guide_miss_a_sheet(folder: Path) -> None:
    file = folder / "statement.json"
    file.write_text(json.dumps(json.loads(file.read_text())[:2]))

    assert "AssertionError" in run(folder).stderr
