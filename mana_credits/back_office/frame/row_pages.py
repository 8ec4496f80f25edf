"""The page of a row and of an act on it: facts, links, possible acts and a form."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits.models import StaffAction
from mana_credits.back_office.acts import looks
from mana_credits.back_office.frame import operator_pages, stale_forms

STAFF_SHOWN = 20
Facts = list[tuple[str, Any]]


class ShownRow(NamedTuple):
    """A row as operators see it.

    `facts` are names and texts, `links` related pages (name, text, URL), `acts` possible acts
    (verb, URL), `blocks` long texts by title. `subject` is the row's name in the audit trail,
    `user_id` the account that it belongs to, if any. An act locks the rows `locked` and then
    compares the state that its form showed, without the facts `passing`, which change all the time.
    """

    title: str
    subject: str
    address: str
    facts: Facts
    status: str = ""
    links: tuple[tuple[str, str, str], ...] = ()
    acts: tuple[tuple[str, str], ...] = ()
    blocks: tuple[tuple[str, str], ...] = ()
    user_id: str = ""
    locked: QuerySet[Any] | None = None
    passing: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Return what a form about the row shows of it, and the last act on it."""
        facts = [fact for fact in self.facts if fact[0] not in self.passing]
        known = [("Title", self.title), ("Status", self.status), *facts]
        if self.subject:
            # Not every act shows in the facts: a new secret does not.
            acts = StaffAction.objects.filter(subject=self.subject)
            known.append(("Last act", stale_forms.last_of(acts)))
        return stale_forms.lines(known)


def acts_on(subject: str) -> QuerySet[StaffAction]:
    """Return the latest acts of operators on a row, without looks, which would hide them."""
    acts = StaffAction.objects.filter(subject=subject).exclude(action__in=looks.ACTIONS)
    return acts.order_by("-pk")[:STAFF_SHOWN]


def show(request: HttpRequest, row: ShownRow, **more: Any) -> HttpResponse:
    """Return the row's page with the operators' acts on it."""
    if row.user_id:
        operator_pages.looked(request, row.user_id, row.subject)
    actions = acts_on(row.subject)
    return operator_pages.render(
        request, "row.html", row.title, {"row": row, "actions": actions, **more}
    )


def act_on(
    request: HttpRequest,
    read: Callable[[], ShownRow],
    form: operator_pages.ActForm,
    verb: str,
    do: Callable[[], str],
    preview: Callable[[], Facts] | None = None,
) -> HttpResponse:
    """Show the form of an act on the row. Run the act once the form is valid.

    `read` returns the row as it is now. A form about an earlier state of the row is refused. With
    `preview`, the form's effect is shown first and has to be confirmed.
    """
    row = read()
    # The form is rendered with the state that was read for this page. A sent form has its own,
    # older one.
    form.initial["seen"] = row.state
    planned: Facts = []
    if form.is_valid() and not stale_forms.refuse(form, row.state):
        # The preview changes nothing. Its page sends the same form again with `confirmed` and the
        # same key.
        if preview and not form.cleaned_data["confirmed"]:
            planned = preview()
        else:
            with stale_forms.guarding(form, lambda: read().state, row.locked):
                done = operator_pages.act(request, form, do, then=row.address)
            if done:
                return done
    context = {
        "row": row,
        "form": form,
        "verb": verb,
        "planned": planned,
        "previews": preview is not None,
    }
    return operator_pages.render(request, "act.html", verb, context)
