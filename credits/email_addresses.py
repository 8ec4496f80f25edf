"""E-mail addresses of people, in the one form in which they are stored and compared."""

import re
from unicodedata import normalize

LENGTH = 320

# Normalising or lower-casing makes ASCII characters of these; another mailbox must not come of it.
_LOOKALIKES = re.compile("[\u037e\u1fef\u212a]")


def mailbox(email: str) -> str:
    """Return `email` in the one form that is stored and compared.

    An address with a character that only looks like ASCII gives an empty string: nobody has that.
    """
    if _LOOKALIKES.search(email):
        return ""
    return normalize("NFC", email.strip()).lower()
