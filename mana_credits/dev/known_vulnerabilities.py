"""Compares the locked packages with the known vulnerabilities, or reports that it could not.

`python -m mana_credits.dev.known_vulnerabilities` needs the program pip-audit and the network. Exit
codes: 0 none known, 1 some known, 75 (EX_TEMPFAIL of sysexits.h) the comparison did not run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-runtime.lock"
LONGEST_SECONDS = 300
DID_NOT_RUN = "The locked packages were NOT compared with known vulnerabilities"


class DidNotRun(Exception):
    """The comparison did not run. The message contains the reason."""


def main() -> int:
    """Compare, print a line for each vulnerability, and return the exit code."""
    try:
        packages = compared()
    except DidNotRun as reason:
        print(f"{DID_NOT_RUN}: {reason}", file=sys.stderr)
        return os.EX_TEMPFAIL
    found = [(one, fault) for one in packages for fault in one.get("vulns", ())]
    for package, fault in found:
        fixed = ", ".join(fault.get("fix_versions", ())) or "no version"
        print(f"{package['name']} {package['version']}: {fault['id']}, fixed in {fixed}")
    print(f"{len(packages)} packages, {len(found)} known vulnerabilities")
    return 1 if found else 0


def compared() -> list[dict[str, Any]]:
    """Return the packages of the lock with their known vulnerabilities. Raises DidNotRun."""
    program = shutil.which("pip-audit")
    if program is None:
        raise DidNotRun("pip-audit is not installed")
    with TemporaryDirectory(prefix="mana-credits-") as folder:
        report = Path(folder, "report.json")
        _run(program, report)
        packages: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))[
            "dependencies"
        ]
    if skipped := [one["name"] for one in packages if "skip_reason" in one]:
        raise DidNotRun(f"pip-audit skipped {', '.join(skipped)}")
    return packages


def _run(program: str, report: Path) -> None:
    arguments = ["--require-hashes", "--disable-pip", "--format", "json", "--output", str(report)]
    try:
        done = subprocess.run(
            [program, *arguments, "--requirement", str(LOCK)],
            check=False,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DidNotRun(f"pip-audit did not end within {LONGEST_SECONDS} s") from None
    # The exit code does not tell: it is also 1 if pip-audit found vulnerabilities.
    if not report.exists() or not report.stat().st_size:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DidNotRun(f"pip-audit failed: {last}")


if __name__ == "__main__":
    sys.exit(main())
