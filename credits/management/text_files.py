"""Files that operators give to commands, and files that commands write for them."""

import errno
import json
import os
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp

from django.core.management.base import CommandError


def read_json(path: Path) -> str:
    """Return the text of a JSON file. Raises CommandError if it cannot be read.

    Editors and PowerShell's `>` also write UTF-16, and byte order marks.
    """
    try:
        data = path.read_bytes()
        return data.decode(json.detect_encoding(data))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} cannot be read: it is not UTF-8.") from error


def writable(text: str) -> Path:
    """Return the path of a file that can be written, for argparse. Raises ArgumentTypeError.

    A command may work for an hour, or create what must not be lost, before it writes the file.
    """
    path = Path(text)
    try:
        if not _is_stream(path):
            with _draft_of(path):
                pass
    except OSError as error:
        raise ArgumentTypeError(f"{path} cannot be written: {error.strerror}") from error
    return path


def write(path: Path, parts: Iterable[str]) -> int:
    """Write a file that only its owner can read, and return the number of parts.

    The parts go to a temporary file beside it, which replaces the file at the end, so an
    interrupted run leaves no partial file, and two runs do not mix theirs. A device or pipe such as
    /dev/stdout is written directly, because it must not be replaced. Raises CommandError if the
    file cannot be written.
    """
    try:
        if _is_stream(path):
            return _write(path, parts)
        with _draft_of(path) as draft:
            count = _write(draft, parts)
            draft.replace(path.resolve())
    except BrokenPipeError:  # manage.py ends quietly
        raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
    return count


def _is_stream(path: Path) -> bool:
    """Return whether the path is a device or a pipe. Raises IsADirectoryError for a folder."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return path.exists() and not path.is_file()


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """Create a temporary file with mode 0600, and delete it unless it was renamed."""
    # Beside the file, because a rename is atomic only within one file system. If the path is a
    # link, such as /dev/stdout in `… > FILE`, its target is the file.
    number, name = mkstemp(prefix=".mana-credits-", suffix=".part", dir=path.resolve().parent)
    os.close(number)
    draft = Path(name)
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _write(path: Path, parts: Iterable[str]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        for part in parts:
            file.write(part)
            count += 1
    return count
