"""How gift codes are written: made at random, shown in groups, read however people type them."""

import re
import secrets
from unicodedata import normalize

from credits.labels import INVISIBLE

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 10  # the field of the web app takes no more
EARLIER_LENGTH = 12
IMPORTED_LENGTH = 6
LENGTHS = (IMPORTED_LENGTH, LENGTH, EARLIER_LENGTH)
PATTERN = "|".join(f"[{ALPHABET}]{{{length}}}" for length in LENGTHS)

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_CODE = re.compile(PATTERN)
_GROUPS = {LENGTH: 5, EARLIER_LENGTH: 4}


def new_code() -> str:
    """Return one of 32 ** 10 = 2 ** 50 codes; that two are equal is not worth a second try."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def read(text: str) -> str | None:
    """Return the code that `text` spells, or None.

    Case does not matter, and what is no letter or digit is passed over: dashes, blanks, quotes.
    """
    visible = _INVISIBLE.sub("", normalize("NFKC", text))
    code = "".join(one for one in visible if one.isalnum()).upper()
    return code if _CODE.fullmatch(code) else None


def groups(code: str) -> list[str]:
    """Return the parts of `code` that pages set apart by style, so that a copy has no gaps."""
    size = _GROUPS.get(len(code), len(code))
    return [code[start : start + size] for start in range(0, len(code), size)]


def masked(code: str) -> str:
    """Return the last four characters of `code` behind dots, for who may not see it whole."""
    return f"••••{code[-4:]}"


def is_short(code: str) -> bool:
    """Tell whether `code` is an imported one, of which there are only 2 ** 30."""
    return len(code) <= IMPORTED_LENGTH
