"""The format of gift codes: random generation, display in groups, tolerant parsing, links."""

import re
import secrets
from unicodedata import category, normalize

from django.conf import settings

from credits.labels import INVISIBLE

# Without 0, O, 1 and I, which people confuse.
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 10  # the maximum of the input field in the web app
EARLIER_LENGTH = 12
IMPORTED_LENGTH = 6
LENGTHS = (IMPORTED_LENGTH, LENGTH, EARLIER_LENGTH)
PATTERN = "|".join(f"[{ALPHABET}]{{{length}}}" for length in LENGTHS)

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_CODE = re.compile(PATTERN)
_GROUPS = {LENGTH: 5, EARLIER_LENGTH: 4}


def new_code() -> str:
    """Return one of 2 ** 50 random codes. A collision is too unlikely to be worth a retry."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def read(text: str) -> str | None:
    """Parse a code as a person typed it; return None if `text` is not a code.

    Case is ignored, and so are all characters except letters and digits, such as dashes and blanks.
    """
    # NFKD maps full-width letters, which some keyboards type, to ASCII. Unlike NFKC, it does not
    # join a letter and an accent to another letter.
    visible = _INVISIBLE.sub("", normalize("NFKD", text))
    # Modifier letters (Lm) are signs such as the apostrophe U+02BC; `isalnum` counts them.
    code = "".join(one for one in visible if one.isalnum() and category(one) != "Lm").upper()
    return code if _CODE.fullmatch(code) else None


def groups(code: str) -> list[str]:
    """Return the parts of `code`, which pages separate by style so that copies have no gaps."""
    size = _GROUPS.get(len(code), len(code))
    return [code[start : start + size] for start in range(0, len(code), size)]


def masked(code: str) -> str:
    """Return the last four characters of `code` after dots, for viewers without permission."""
    return f"••••{code[-4:]}"


def link(code: str) -> str:
    """Return the URL of the public page of the gift with this code."""
    return f"{settings.BASE_URL}/g/{code}"


def is_short(code: str) -> bool:
    """Return whether `code` has the imported short format, which is easier to guess (2 ** 30)."""
    return len(code) <= IMPORTED_LENGTH
