"""The installation uses exactly the lock file, whatever the package index offers."""

import ensurepip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fake_packages
from tests.fake_packages import lock, source, wheel

ROOT = Path(__file__).resolve().parents[2]
# The first belongs to Debian 12, the second to Python 3.11.7 and 3.12.1; "" is the newest.
MORE = pytest.mark.install
PIPS = (pytest.param("23.0.1", marks=MORE), "23.2.1", pytest.param("", marks=MORE))
VENV = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    "{python}" -m venv --without-pip "$3"
    exec "{python}" -m zipfile -e "{pip}" "$3"/lib/python*/site-packages/
fi
exec "{python}" "$@"
"""
OLDER = """#!/bin/sh
exec "{python}" -c 'import sys; sys.version_info = (3, 10, 13); exec(sys.argv[1])' "$2"
"""


@pytest.fixture(scope="module", params=PIPS, ids=lambda version: version or "newest")
def pip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of one release of pip."""
    version: str = request.param
    if version == ensurepip.version():
        return next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
    folder = tmp_path_factory.mktemp("pip")
    wanted = f"pip=={version}" if version else "pip"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wanted]
    got = subprocess.run([*command, "--dest", str(folder)], capture_output=True, check=False)
    if got.returncode:
        pytest.skip(f"{wanted} cannot be downloaded here")
    return next(folder.glob("pip-*.whl"))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create an index with newer releases of three locked packages and of the build tool."""
    folder = tmp_path_factory.mktemp("index")
    for name in ("coverage", "django", "requests", "setuptools"):
        for version in ("80.1", "99.0"):
            wheel(folder, name, version)
    wheel(folder, "pytest-cov", "7.0", "coverage[toml]>=7.10")
    wheel(folder, "django-otp", "1.0", "django>=5.2", 'absent; extra == "other"')
    wheel(folder, "schemathesis", "4.0", "requests>=2")
    return folder


class Clone:
    """A folder with the Makefile, a lock file and an index, from which `make` installs."""

    def __init__(self, folder: Path, index: Path, pip: Path) -> None:
        self.folder = folder
        self.index = index
        (folder / "ops").mkdir(parents=True)
        for name in ("Makefile", "ops/install.sh"):
            (folder / name).write_text((ROOT / name).read_text())
        self.python = folder / "python"
        self.python.write_text(VENV.format(python=sys.executable, pip=pip))
        self.python.chmod(0o755)

    def install(self, text: str) -> "subprocess.CompletedProcess[str]":
        """Install the lock `text` as `make run` and `make test` do."""
        (self.folder / "requirements.lock").write_text(text)
        return self.run("make", "--silent", f"PYTHON={self.python}", ".venv/installed")

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the folder; pip knows this index only."""
        pip = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": self.index.as_uri(),
            "PIP_CONFIG_FILE": os.devnull,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment = {**kept, **pip}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
        )

    def versions(self) -> dict[str, str]:
        """Return the installed versions, without pip."""
        packages = self.folder.glob(".venv/lib/python*/site-packages/*.dist-info")
        found = dict(path.stem.replace("_", "-").rsplit("-", 1) for path in packages)
        return {name: version for name, version in found.items() if name != "pip"}


@pytest.fixture
def clone(tmp_path: Path, index: Path, pip: Path) -> Clone:
    """Return a clone in a folder whose name contains a space."""
    return Clone(tmp_path / "a clone", index, pip)


def locked(index: Path) -> list[Path]:
    """Return the packages of a complete lock file, none of them the newest release."""
    names = ("coverage-80.1", "django-80.1", "requests-80.1", "setuptools-80.1")
    wholes = ("pytest_cov-7.0", "django_otp-1.0", "schemathesis-4.0")
    return [index / f"{name}-py3-none-any.whl" for name in (*names, *wholes)]


@pytest.mark.slow
def test_newer_releases_on_the_index_change_nothing(clone: Clone, index: Path) -> None:
    parser = source(index, "gunicorn-h1c", "0.6", compiles=True)

    done = clone.install(lock(*locked(index), parser))

    assert (done.returncode, done.stderr) == (0, "")
    assert clone.versions() == {
        "coverage": "80.1",
        "django": "80.1",
        "django-otp": "1.0",
        "gunicorn-h1c": "0.6",
        "pytest-cov": "7.0",
        "requests": "80.1",
        "schemathesis": "4.0",
        "setuptools": "80.1",
    }
    assert (clone.folder / ".venv/installed").exists()


@pytest.mark.slow
def test_a_folder_whose_python_was_removed_is_installed_anew(clone: Clone, index: Path) -> None:
    clone.install(lock(*locked(index)))
    programs = clone.folder / ".venv/bin"
    for name in (path.name for path in programs.glob("python*")):
        (programs / name).unlink()
        (programs / name).symlink_to(clone.folder / "removed")

    # The lock file is as old as before.
    done = clone.run("make", "--silent", f"PYTHON={clone.python}", ".venv/installed")

    assert (done.returncode, done.stderr) == (0, "")
    assert clone.run(".venv/bin/python", "-m", "pip", "check").returncode == 0


@pytest.mark.slow
def test_a_lock_with_a_hole_is_refused_and_the_missing_package_named(
    clone: Clone, index: Path
) -> None:
    whole = locked(index)

    done = clone.install(lock(*(path for path in whole if "coverage" not in path.name)))

    assert done.returncode != 0
    assert "pytest-cov 7.0 requires coverage, which is not installed." in done.stdout
    assert not (clone.folder / ".venv/installed").exists()
    assert "coverage" not in clone.versions()


@MORE
def test_without_a_compiler_everything_else_is_installed(clone: Clone, index: Path) -> None:
    parser = source(index, "gunicorn-h1c", "0.7", compiles=False)
    text = lock(*locked(index), parser)

    done = clone.install(text)
    required = clone.run(
        *("env", "REQUIRE_COMPILER=1", "sh", "ops/install.sh"),
        *(".venv/bin/python", "requirements.lock"),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "gunicorn-h1c was not compiled" in done.stdout
    assert "gunicorn-h1c" not in clone.versions()
    assert clone.versions()["coverage"] == "80.1"
    assert required.returncode == 1
    assert "cc is missing" in required.stderr


@MORE
def test_a_package_that_was_changed_on_the_index_is_refused(clone: Clone, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    text = fake_packages.lock(wheel(other, "coverage", "80.1"))

    done = clone.install(text.replace("sha256:", "sha256:0")[:-2] + "\n")

    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert clone.versions() == {}


@MORE
def test_the_index_would_mislead_a_pip_that_resolves(index: Path, tmp_path: Path) -> None:
    if ensurepip.version() != "23.2.1":
        pytest.skip(f"pip 23.2.1 resolves extras anew; this Python brings {ensurepip.version()}")
    bundled = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
    clone = Clone(tmp_path / "clone", index, bundled)
    clone.install(lock(*locked(index)))
    for name in ("coverage", "pytest-cov"):
        clone.run(".venv/bin/python", "-m", "pip", "uninstall", "--yes", name)

    resolving = ("-m", "pip", "install", "--dry-run", "--require-hashes")
    refused = clone.run(".venv/bin/python", *resolving, "--requirement", "requirements.lock")

    assert refused.returncode == 1
    assert "coverage[toml]>=7.10" in refused.stderr


def test_an_older_python_is_refused_in_a_sentence(tmp_path: Path, index: Path) -> None:
    clone = Clone(tmp_path / "clone", index, Path("unused.whl"))
    older = tmp_path / "older"
    older.write_text(OLDER.format(python=sys.executable))
    older.chmod(0o755)

    (clone.folder / "requirements.lock").write_text("")
    refused = clone.run("make", "--silent", f"PYTHON={older}", ".venv/installed")

    assert refused.returncode != 0
    assert refused.stderr.startswith("mana-credits needs Python 3.11 or newer. Set PYTHON=…")
    assert not (clone.folder / ".venv").exists()
