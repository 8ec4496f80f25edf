"""A package index in a folder: small wheels, source distributions and lock files."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
BACKEND = """
import os, pathlib, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    {compiler}
    name = "{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        for path, text in {files!r}.items():
            wheel.writestr(path, text)
    return name
"""


def wheel(folder: Path, name: str, version: str, *requires: str) -> Path:
    """Write a wheel that contains only its metadata. Return its path."""
    path = folder / f"{_module(name)}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in _files(name, version, requires).items():
            archive.writestr(inner, text)
    return path


def source(folder: Path, name: str, version: str, *, compiles: bool) -> Path:
    """Write a source distribution whose build succeeds, or fails without a compiler."""
    files = _files(name, version, ())
    backend = BACKEND.format(
        compiler="pass" if compiles else "raise RuntimeError('cc is missing')",
        name=_module(name),
        version=version,
        files=files,
    )
    project = (
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "backend"\n'
        f'backend-path = ["."]\n[project]\nname = "{name}"\nversion = "{version}"\n'
    )
    root = f"{_module(name)}-{version}"
    path = folder / f"{root}.tar.gz"
    information = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with tarfile.open(path, "w:gz") as archive:
        for inner, text in {
            "PKG-INFO": information,
            "pyproject.toml": project,
            "backend.py": backend,
        }.items():
            member = tarfile.TarInfo(f"{root}/{inner}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def lock(*packages: Path) -> str:
    """Return a lock file that pins these packages, in the format of `make lock`."""
    lines = []
    for path in packages:
        name, version = path.name.removesuffix(".tar.gz").split("-")[:2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{digest}\n")
    return "".join(lines)


def _module(name: str) -> str:
    return name.replace("-", "_")


def _files(name: str, version: str, requires: tuple[str, ...]) -> dict[str, str]:
    root = f"{_module(name)}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {f"{root}/METADATA": metadata, f"{root}/WHEEL": WHEEL}
    record = "".join(f"{path},,\n" for path in [*files, f"{root}/RECORD"])
    return {**files, f"{root}/RECORD": record}
