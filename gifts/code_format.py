"""How gift codes are written: made at random, shown with dashes, read however people type them."""

import re
import secrets

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 12
IMPORTED_LENGTH = 6

_CODE = re.compile(rf"[{ALPHABET}]{{{IMPORTED_LENGTH}}}|[{ALPHABET}]{{{LENGTH}}}")
_IGNORED = re.compile(r"[\s-]+")
_GROUP = re.compile(r".{4}(?=.)")


def new_code() -> str:
    """Return one of 32 ** 12 = 2 ** 60 codes; that two are equal is not worth a second try."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def read(text: str) -> str | None:
    """Return the code that `text` spells, dashes, spaces and case aside, or None."""
    code = _IGNORED.sub("", text).upper()
    return code if _CODE.fullmatch(code) else None


def shown(code: str) -> str:
    """Return `code` as people read it: ABCD-EFGH-JKLM, or as it is if it is an imported one."""
    return code if len(code) <= IMPORTED_LENGTH else _GROUP.sub(r"\g<0>-", code)


def masked(code: str) -> str:
    """Return the last four characters of `code` behind dots, for who may not see it whole."""
    return f"••••{code[-4:]}"


def is_short(code: str) -> bool:
    """Tell whether `code` is an imported one, of which there are only 2 ** 30."""
    return len(code) <= IMPORTED_LENGTH
