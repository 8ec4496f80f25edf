"""Files that commands write: whole or not at all, for their owner only."""

import os
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

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


def test_two_runs_write_one_whole_file_each(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"

    def with_another_run() -> Iterator[str]:
        yield "first "
        text_files.write(path, ["second"])
        yield "run"

    text_files.write(path, with_another_run())

    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [
        ("file.csv", "first run")
    ]


def test_the_target_of_a_link_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    target.write_text("before")
    link = tmp_path / "link"
    link.symlink_to(target)

    text_files.write(link, ["x"])

    assert link.is_symlink()
    assert target.read_text() == "x"


def test_a_device_is_not_replaced() -> None:
    assert text_files.write(Path("/dev/null"), ["x"]) == 1

    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("name", ["missing/file", "folder", "f" * 300])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(CommandError, match=rf"/{name} cannot be written: [^\n]+\.$"):
        text_files.write(tmp_path / name, ["x"])
    with pytest.raises(ArgumentTypeError, match=rf"/{name} cannot be written: [^\n]+$"):
        text_files.writable(str(tmp_path / name))

    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["new", "old", "pipe"])
def test_a_check_before_the_work_leaves_the_file_as_it_was(tmp_path: Path, name: str) -> None:
    (tmp_path / "old").write_text("before")
    os.mkfifo(tmp_path / "pipe")

    assert text_files.writable(str(tmp_path / name)) == tmp_path / name

    assert sorted(one.name for one in tmp_path.iterdir()) == ["old", "pipe"]
    assert (tmp_path / "old").read_text() == "before"


@pytest.mark.parametrize(
    ("command", "option", "others"),
    [
        ("create_gift_codes", "--csv", ["--campaign=c", "--count=1", "--credits=1", "--reason=r"]),
        ("ledger_report", "--csv", ["--month=2026-10"]),
        ("export_user", "--output", ["alice"]),
        ("import_legacy", "--report", ["--source=postgresql://127.0.0.1:1/nowhere"]),
    ],
)
def test_a_command_checks_its_file_before_its_work(
    tmp_path: Path, command: str, option: str, others: list[str]
) -> None:
    with pytest.raises(CommandError, match=rf"^Error: argument {option}: .+ cannot be written: "):
        call_command(command, *others, f"{option}={tmp_path}")  # no database is needed


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="Only Linux has /dev/full")
def test_a_full_disk_is_named() -> None:
    with pytest.raises(CommandError, match=r"^/dev/full cannot be written: No space left"):
        text_files.write(Path("/dev/full"), ["x"])
