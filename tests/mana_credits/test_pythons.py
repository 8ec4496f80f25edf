"""A clean copy, installed and used with each supported Python, as by `make run` and `make test`.

The folder's name contains a space, and the package index offers newer releases of locked packages.
The tests also cover a machine without a C compiler, and a user other than root.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_packages import wheel
from tests.loopback import free_port

ROOT = Path(__file__).resolve().parents[2]
NEWER = ("coverage", "django", "requests")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
COMPILERS = re.compile(r"(.*-)?(cc|c\+\+|gcc|g\+\+|clang|clang\+\+|c89|c99|tcc)(-[\d.]+)?")
SOME_TESTS = ("tests/credits/test_use.py", "tests/credits/test_transactions.py")

pytestmark = pytest.mark.install


def interpreters() -> Iterator[Path]:
    """Yield every Python that this machine may have, the system's first."""
    for version in VERSIONS:
        yield Path(f"/usr/bin/python{version}")
        yield Path(f"/usr/local/bin/python{version}")
        yield from sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))


def version_of(path: Path) -> str:
    """Return the version, or "" if this is no Python that can create environments."""
    if not path.exists():
        return ""
    asked = [str(path), "-c", "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def found(version: str) -> Path:
    """Return a Python of this version. Skip the test if the machine has none."""
    for path in interpreters():
        if version_of(path) == version:
            return path
    pytest.skip(f"Python {version} is not on this machine")


def readable_by_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


@pytest.fixture
def copy() -> Iterator[Path]:
    """Return a copy of the repository in a folder whose name contains a space."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="mana-credits-") as name:
        folder = Path(name) / "a clean copy"
        for one in filter(lambda line: (ROOT / line).exists(), names.splitlines()):
            (folder / one).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / one, folder / one)
        yield folder


class User:
    """The user who installs and uses a copy, with the programs in PATH."""

    def __init__(self, copy: Path, *, account: str = "", path: str | None = None) -> None:
        self._copy = copy
        self._account = pwd.getpwnam(account) if account else None
        index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        newer = copy.parent / "newer"
        newer.mkdir()
        for name in NEWER:
            wheel(newer, name, "99.0")
        index["PIP_FIND_LINKS"] = f"{index.get('PIP_FIND_LINKS', '')} {newer.as_uri()}".strip()
        self.environment = {
            **index,
            "HOME": str(copy.parent),
            "LANG": "C.UTF-8",
            "PATH": path or "/usr/local/bin:/usr/bin:/bin",
        }
        if self._account:
            copy.parent.chmod(0o755)
            for one in (copy.parent, *copy.parent.rglob("*")):
                os.chown(one, self._account.pw_uid, self._account.pw_gid)

    def start(self, *command: str, **environment: str) -> "subprocess.Popen[str]":
        account = self._account
        return subprocess.Popen(
            command,
            cwd=self._copy,
            env={**self.environment, **environment},
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> str:
        """Run a command. Return its output."""
        with self.start(*command) as process:
            printed, _ = process.communicate(timeout=1800)
        assert process.returncode == 0, printed
        return printed

    def version(self, package: str) -> str:
        """Return the version of an installed package."""
        program = f"from importlib.metadata import version; print(version({package!r}))"
        return self.run(".venv/bin/python", "-c", program).strip()

    def has_parser(self) -> bool:
        """Return whether gunicorn's parser in C was compiled."""
        program = "import importlib.util as u; print(u.find_spec('gunicorn_h1c') is not None)"
        return self.run(".venv/bin/python", "-c", program).strip() == "True"

    def uses_it(self) -> None:
        """Run some tests, and the sandbox from start to Ctrl-C."""
        self.run(".venv/bin/python", "-m", "pytest", "-q", "-n", "0", *SOME_TESTS)
        sandbox = self.start("make", "--silent", "run", PORT=str(free_port()))
        assert sandbox.stdout
        printed = ""
        with sandbox:
            while "Ctrl-C" not in printed:
                line = sandbox.stdout.readline()
                assert line, printed
                printed += line
            sandbox.send_signal(signal.SIGTERM)
            printed += sandbox.communicate(timeout=120)[0]
        assert "Stopped." in printed


@pytest.mark.parametrize("version", VERSIONS)
def test_it_installs_and_works_with_every_python(copy: Path, version: str) -> None:
    user = User(copy)

    user.run("make", f"PYTHON={found(version)}", ".venv/installed")

    assert "99.0" not in {user.version(name) for name in NEWER}
    assert user.has_parser() == (shutil.which("cc") is not None)
    user.uses_it()


def test_it_installs_and_works_without_a_compiler(copy: Path, tmp_path: Path) -> None:
    for program in (one for folder in ("/usr/bin", "/bin") for one in Path(folder).iterdir()):
        link = tmp_path / program.name
        if not COMPILERS.fullmatch(program.name) and not link.exists():
            link.symlink_to(program)
    user = User(copy, path=str(tmp_path))

    printed = user.run("make", f"PYTHON={found('3.11')}", ".venv/installed")

    assert "gunicorn-h1c was not compiled" in printed
    assert user.has_parser() is False
    user.uses_it()


def test_it_installs_and_works_for_another_user_than_root(copy: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this test is run by another user than root: all of them show it")
    usable = (path for path in interpreters() if version_of(path) and readable_by_others(path))
    python = next(usable, None)
    if python is None:
        pytest.skip("there is no Python that another user than root may run")
    user = User(copy, account="daemon")

    user.run("make", f"PYTHON={python}", ".venv/installed")

    user.uses_it()
