"""Files that commands write: whole or not at all, for their owner only."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError

from credits.management import text_files


def interrupted() -> Iterator[str]:
    yield "x"
    raise RuntimeError


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("before")

    with pytest.raises(RuntimeError):
        text_files.write(path, interrupted())
    assert [one.name for one in tmp_path.iterdir()] == ["file.csv"]
    assert path.read_text() == "before"

    assert text_files.write(path, ["x\r\n", "y"]) == 2

    assert path.read_bytes() == b"x\r\ny"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["file.csv"]


def test_a_device_is_not_replaced() -> None:
    assert text_files.write(Path("/dev/null"), ["x"]) == 1

    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("name", ["missing/file", "folder", "f" * 300])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(CommandError, match=rf"/{name} cannot be written: [^\n]+\.$"):
        text_files.write(tmp_path / name, ["x"])

    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="Only Linux has /dev/full")
def test_a_full_disk_is_named() -> None:
    with pytest.raises(CommandError, match=r"^/dev/full cannot be written: No space left"):
        text_files.write(Path("/dev/full"), ["x"])
