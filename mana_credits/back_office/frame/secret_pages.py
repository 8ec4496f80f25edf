"""The page of an act that makes a secret, which is shown once."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from credits.errors import DomainError
from mana_credits.back_office.frame import operator_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import Row


def show_once(
    request: HttpRequest,
    row: Row,
    form: WhyForm,
    verb: str,
    act: Callable[[], tuple[Row, str]],
    *,
    title: str,
) -> HttpResponse:
    """Show the form. Once it is valid, run the act and show the secret in this response only.

    `act` returns the changed row and its secret.
    """
    if form.is_valid():
        try:
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
