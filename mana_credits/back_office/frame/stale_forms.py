"""Forms that were shown before their row changed. Such a form is refused with what changed.

A form carries the state of its row, as lines of text, in its hidden field `seen`.
"""

from collections.abc import Iterable
from typing import Any

from django import forms

from credits.models import StaffAction


def lines(facts: Iterable[tuple[str, Any]]) -> str:
    """Return names and values as the text of `seen`."""
    return "\n".join(f"{name}: {' '.join(str(value).split())}" for name, value in facts)


def refuse(form: forms.Form, state: str) -> bool:
    """Add an error to a valid form if its row is no longer in the state that the form showed.

    Returns whether the form was refused. The form then carries the current `state`, so that it can
    be sent again. A form that has acted before is not refused: it is a repetition.
    """
    seen = form.cleaned_data["seen"].replace("\r\n", "\n")
    if seen in {"", state} or StaffAction.objects.filter(key=form.cleaned_data["key"]).exists():
        return False
    before = [line for line in seen.split("\n") if line not in state.split("\n")]
    after = [line for line in state.split("\n") if line not in seen.split("\n")]
    form.add_error(
        None,
        f"This changed after you opened the form. It showed “{'; '.join(before)}”, "
        f"now it is “{'; '.join(after)}”. Nothing was done; check it and send the form again.",
    )
    form.data = {**form.data.dict(), "seen": state}  # type: ignore[attr-defined]
    return True
