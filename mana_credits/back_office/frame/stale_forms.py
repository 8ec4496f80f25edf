"""Forms that were shown before their row changed. They are refused, and the error names the change.

A form carries the state of its row, as lines of text, in its hidden field `seen`. The state is
compared twice: before a preview, and under the lock of the row in the transaction of the act.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import QuerySet

from credits.errors import DomainError
from credits.models import StaffAction
from mana_credits.back_office.acts import audit, looks
from mana_credits.back_office.frame.operator_pages import ActForm
from mana_credits.back_office.templatetags.office import NOTHING, moment


class StaleForm(DomainError):
    """The row changed after the form was opened."""

    code = "stale_form"
    status = 409
    message = "This changed after you opened the form"


def lines(facts: Iterable[tuple[str, Any]]) -> str:
    """Return names and values as the text of `seen`."""
    return "\n".join(f"{name}: {' '.join(str(value).split())}" for name, value in facts)


def last_of(acts: QuerySet[StaffAction]) -> str:
    """Return who did the last of these acts, when and why; views of an account are no acts."""
    last = acts.exclude(action__in=looks.ACTIONS).order_by("-pk").first()
    return f"{last.operator}, {moment(last.at)}, {last.note}" if last else NOTHING


def refuse(form: ActForm, state: str) -> bool:
    """Add an error to a valid form if its row is no longer in the state that the form showed.

    Returns whether the form was refused. The form then carries the current `state`, so that it can
    be sent again. A form that has acted before is not refused: it is a repetition.
    """
    seen = _seen(form)
    # The act's key decides about a repetition, not the state: the first act has changed the row
    # itself.
    if seen in {"", state} or StaffAction.objects.filter(key=form.cleaned_data["key"]).exists():
        return False
    form.add_error(None, _difference(seen, state))
    form.renew(seen=state)
    return True


@contextmanager
def guarding(
    form: ActForm, state: Callable[[], str], locked: QuerySet[Any] | None
) -> Iterator[None]:
    """Run the body's act only if the row is in the state that the form showed.

    The act raises StaleForm in another state, which it reads under the lock of the rows `locked`.
    """

    def check() -> None:
        if locked is not None:
            # The lock comes first and the comparison after it. Otherwise the row could change
            # between them.
            list(locked.select_for_update().values_list("pk"))
        now = state()
        if _seen(form) not in {"", now}:
            form.renew(seen=now)
            raise StaleForm(_difference(_seen(form), now))

    with audit.only_if(check):
        yield


def _seen(form: ActForm) -> str:
    # Browsers send line breaks of a form as CR LF.
    seen: str = form.cleaned_data["seen"].replace("\r\n", "\n")
    return seen


def _difference(seen: str, state: str) -> str:
    before = [line for line in seen.split("\n") if line not in state.split("\n")]
    after = [line for line in state.split("\n") if line not in seen.split("\n")]
    return (
        f"This changed after you opened the form. It showed “{'; '.join(before)}”, "
        f"now it is “{'; '.join(after)}”. Nothing was done; check it and send the form again."
    )
