"""The page of an act that makes a secret, which is shown once."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from credits.errors import DomainError
from mana_credits.back_office.acts.audit import AlreadyDone
from mana_credits.back_office.frame import operator_pages, stale_forms
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow

SHOWN_ONCE = "The secret was shown only once. If nobody has it, rotate it."


def show_once(
    request: HttpRequest,
    read: Callable[[], ShownRow],
    form: WhyForm,
    verb: str,
    act: Callable[[], tuple[ShownRow, str]],
    *,
    title: str,
) -> HttpResponse:
    """Show the form. Once it is valid, run the act and show the secret in this response only.

    `act` returns the changed row and its secret, and `read` the row as it is now. A form about an
    earlier state of the row is refused: a second rotation would end the secret of the first.
    """
    row = read()
    form.initial["seen"] = row.state
    if form.is_valid() and not stale_forms.refuse(form, row.state):
        try:
            with stale_forms.guarding(form, lambda: read().state, row.locked):
                changed, secret = act()
        except AlreadyDone as repeat:
            messages.info(request, f"{repeat.text}. {SHOWN_ONCE}")
            return redirect(row.address)
        except DomainError as refusal:
            form.add_error(None, refusal.text)
        else:
            # No redirect: the secret would have to be stored for the next request.
            shown = {"row": changed, "secret": secret}
            return operator_pages.render(request, "secret.html", title, shown)
    return operator_pages.render(
        request, "act.html", verb, {"row": row, "form": form, "verb": verb}
    )
