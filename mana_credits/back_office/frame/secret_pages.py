"""The page of an act that makes a secret, which is shown once."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from credits.errors import DomainError
from mana_credits.back_office.frame import operator_pages, stale_forms
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow


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
        except DomainError as refusal:
            form.add_error(None, refusal.text)
        else:
            # No redirect: the secret would have to be stored for the next request.
            shown = {"row": changed, "secret": secret}
            return operator_pages.render(request, "secret.html", title, shown)
    return operator_pages.render(
        request, "act.html", verb, {"row": row, "form": form, "verb": verb}
    )
