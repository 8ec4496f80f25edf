"""The name of a gift's creator that is shown to others."""

import re

NAME_LENGTH = 100

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def public_name(name: str | None) -> str | None:
    """Return `name` for display to strangers; None if it is empty or may be an e-mail address."""
    if name is None or "@" in name or "\uff20" in name:
        return None
    return _CONTROL.sub(" ", name).strip()[:NAME_LENGTH].strip() or None
