"""What gifts say and compare of people: a name to show, an e-mail address to match."""

import re
from unicodedata import normalize

NAME_LENGTH = 100

# Normalising or lower-casing makes ASCII characters of these; another mailbox must not come of it.
_LOOKALIKES = re.compile("[\u037e\u1fef\u212a]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def public_name(name: str | None) -> str | None:
    """Return what strangers may see of a token's `name`: never anything like an e-mail address."""
    if name is None or "@" in name or "\uff20" in name:
        return None
    return _CONTROL.sub(" ", name).strip()[:NAME_LENGTH].strip() or None


def mailbox(email: str) -> str:
    """Return `email` in the one form that is stored and compared.

    An address with a character that only looks like ASCII gives an empty string: no gift has that.
    """
    if _LOOKALIKES.search(email):
        return ""
    return normalize("NFC", email.strip()).lower()
