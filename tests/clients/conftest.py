"""The generators that `make test-clients` installs. Tests are skipped without them."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".clients"
PROGRAMS = (FOLDER / "python" / "bin", FOLDER / "npm" / "node_modules" / ".bin")
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a generator's program in an empty folder. Return its output."""

    def program(name: str, *arguments: str) -> str:
        path = ":".join(map(str, PROGRAMS))
        found = shutil.which(name, path=path)
        if found is None:
            pytest.skip(f"{name} is not installed: `make test-clients` installs it")
        done = subprocess.run(
            [found, *arguments],
            cwd=tmp_path,
            env={"PATH": f"{path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed
        return printed

    return program
