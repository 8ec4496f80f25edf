"""The name of a gift's creator that is shown to others."""

import re

NAME_LENGTH = 100

# These characters change the direction of the text after the name, on pages and in mails.
_DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def public_name(name: str | None) -> str | None:
    """Return `name` for display to strangers; None if it is empty or may be an e-mail address."""
    # U+FF20 is the full-width form of the at sign.
    if name is None or "@" in name or "\uff20" in name:
        return None
    return _CONTROL.sub(" ", _DIRECTION.sub("", name)).strip()[:NAME_LENGTH].strip() or None
