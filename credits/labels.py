"""User ids and labels: which ones are valid, on the wire and in commands."""

import re

LONGEST_USER_ID = 255

_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
# Invisible characters that no reader sees and no `strip` removes: soft hyphen, Mongolian vowel
# separator, zero-width characters, marks of direction, word joiner, byte order mark.
_ZERO_WIDTH = r"\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
_OUTER = rf"[^\s{_ZERO_WIDTH}{_CONTROLS}]"
# Regular expressions for the API's schema too: only what Python and JavaScript read alike.
LABEL = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
USER_ID = rf"^{_OUTER}([^{_CONTROLS}]*{_OUTER})?$"

_CONTROL = re.compile(rf"[{_CONTROLS}]")
# U+FEFF is white space in JavaScript, whose patterns the API's schema has.
_VISIBLE = re.compile(r"[^\s\ufeff]")
_USER_ID = re.compile(USER_ID)

MESSAGES = {
    "blank": "This field may not be blank.",
    "control": "Control characters are not allowed.",
    "outer": "Blanks and invisible characters at the beginning or the end are not allowed.",
}


def error_for_label(text: str) -> str | None:
    """Return the key in MESSAGES of what is wrong with a label, or None."""
    if _CONTROL.search(text):
        return "control"
    return None if _VISIBLE.search(text) else "blank"


def error_for_user_id(text: str) -> str | None:
    """Return the key in MESSAGES of what is wrong with a user's id, or None; not its length.

    Two ids that look alike on a screen would be two accounts.
    """
    if error := error_for_label(text):
        return error
    return None if _USER_ID.fullmatch(text) else "outer"
