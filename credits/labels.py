"""Validation of user ids and labels, on the wire and in commands."""

import re

LONGEST_USER_ID = 255

_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
# Invisible characters that `strip` does not remove: soft hyphen, joiners, Hangul fillers,
# zero-width characters, direction marks, the Braille blank, byte order mark, annotation marks.
INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb"
)
_OUTER = rf"[^\s{INVISIBLE}{_CONTROLS}]"
# The API's schema has these patterns too: only syntax that Python and JavaScript share.
LABEL = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
USER_ID = rf"^{_OUTER}([^{_CONTROLS}]*{_OUTER})?$"

_CONTROL = re.compile(rf"[{_CONTROLS}]")
# `\s` includes U+FEFF in JavaScript, which evaluates the patterns of the API's schema.
_VISIBLE = re.compile(r"[^\s\ufeff]")
_USER_ID = re.compile(USER_ID)

MESSAGES = {
    "blank": "This field may not be blank.",
    "control": "Control characters are not allowed.",
    "outer": "Blanks and invisible characters at the beginning or the end are not allowed.",
}


def error_for_label(text: str) -> str | None:
    """Return the key in MESSAGES of the error in a label, or None if the label is valid."""
    if _CONTROL.search(text):
        return "control"
    return None if _VISIBLE.search(text) else "blank"


def error_for_user_id(text: str) -> str | None:
    """Return the key in MESSAGES of the error in a user id, or None if the id is valid.

    Outer blanks and invisible characters are rejected, because two ids that look the same would be
    two accounts. The length is not checked here.
    """
    if error := error_for_label(text):
        return error
    return None if _USER_ID.fullmatch(text) else "outer"
