"""Files that operators give to commands, and files that commands write for them."""

import json
from collections.abc import Iterable
from pathlib import Path

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


def write(path: Path, parts: Iterable[str]) -> int:
    """Write a file that only its owner can read, and return the number of parts.

    The parts go to a temporary file beside it, which replaces the file at the end, so an
    interrupted run leaves no partial file. A device such as /dev/stdout is written directly,
    because it must not be replaced. Raises CommandError if the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            return _write(path, parts)
        # Beside the file, because a rename is atomic only within one file system.
        draft = path.with_name(f".{path.name}.part")
        try:
            draft.touch(mode=0o600)
            count = _write(draft, parts)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except BrokenPipeError:  # manage.py ends quietly
        raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
    return count


def _write(path: Path, parts: Iterable[str]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        for part in parts:
            file.write(part)
            count += 1
    return count
