"""The comparison with known vulnerabilities reports them, or that it did not run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mana_credits.dev import known_vulnerabilities

CLEAN = {"name": "django", "version": "5.2.1", "vulns": []}
FAULTY = {
    "name": "requests",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "PYSEC-2", "fix_versions": []}],
}


@pytest.fixture
def pip_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for pip-audit; tests write what it does."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "pip-audit"


def does(program: Path, *lines: str) -> None:
    program.write_text(
        "\n".join(["#!/bin/sh", 'while [ "$1" != --output ]; do shift; done', *lines])
    )
    program.chmod(0o755)


def reports(program: Path, *packages: dict[str, Any], code: int = 0) -> None:
    report = json.dumps({"dependencies": list(packages), "fixes": []})
    does(program, f"printf '%s' '{report}' > \"$2\"", f"exit {code}")


def test_no_known_vulnerability_is_0(pip_audit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports(pip_audit, CLEAN)

    assert known_vulnerabilities.main() == 0
    assert capsys.readouterr().out == "1 packages, 0 known vulnerabilities\n"


def test_each_known_vulnerability_is_a_line(
    pip_audit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports(pip_audit, CLEAN, FAULTY, code=1)

    assert known_vulnerabilities.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "requests 2.0: PYSEC-1, fixed in 2.1",
        "requests 2.0: PYSEC-2, fixed in no version",
        "2 packages, 2 known vulnerabilities",
    ]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("echo 'no route to host' >&2", "exit 1"), "pip-audit failed: no route to host"),
        (("exit 1",), "pip-audit failed: no message"),
        ((': > "$2"', "exit 0"), "pip-audit failed: no message"),
    ],
)
def test_without_a_network_it_says_that_it_did_not_run(
    pip_audit: Path, capsys: pytest.CaptureFixture[str], lines: tuple[str, ...], reason: str
) -> None:
    does(pip_audit, *lines)

    assert known_vulnerabilities.main() == os.EX_TEMPFAIL
    assert capsys.readouterr().err == f"{known_vulnerabilities.DID_NOT_RUN}: {reason}\n"


def test_a_skipped_package_counts_as_not_run(
    pip_audit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports(pip_audit, {"name": "psycopg", "skip_reason": "not on the index"})

    assert known_vulnerabilities.main() == os.EX_TEMPFAIL
    assert "pip-audit skipped psycopg" in capsys.readouterr().err


def test_without_the_program_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")

    assert known_vulnerabilities.main() == os.EX_TEMPFAIL
    assert "pip-audit is not installed" in capsys.readouterr().err


def test_a_program_that_does_not_end_is_given_up(
    pip_audit: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    does(pip_audit, "exec sleep 30")
    monkeypatch.setattr(known_vulnerabilities, "LONGEST_SECONDS", 0.2)

    assert known_vulnerabilities.main() == os.EX_TEMPFAIL
    assert "did not end within 0.2 s" in capsys.readouterr().err
