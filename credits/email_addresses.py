"""E-mail addresses of people, in the canonical form that is stored and compared."""

import re
from unicodedata import normalize

LENGTH = 320

# Normalising or lower-casing turns these into ASCII characters, which would be another mailbox.
_LOOKALIKES = re.compile("[\u037e\u1fef\u212a]")


def mailbox(email: str) -> str:
    """Return `email` in its canonical form: trimmed, NFC, lower case.

    Returns an empty string, which matches no user, if a character only looks like ASCII.
    """
    if _LOOKALIKES.search(email):
        return ""
    return normalize("NFC", email.strip()).lower()
