"""Reading the JSON files that operators give to commands."""

import json
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
