"""The audit trail: its list, and the page of an act."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from credits.models import StaffAction
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.admin.subject_pages import address_of_subject
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import (
    NOTHING,
    amount,
    euros,
    moment,
    reason,
    words,
)

LONGEST_SHOWN = 20  # characters of a row's id


@admin.register(StaffAction)
class StaffActions(ReadOnlyList):
    """The audit trail."""

    list_display = ("at", "operator", "action", "user_id", "row", "reasons")
    sorts: ClassVar = {"at": "id"}
    titles: ClassVar = {"at": "Time", "action": "Act", "user_id": "Account"}
    search_help_text = "User id, operator or row"
    list_filter = ("action", "operator")
    search_fields = ("user_id__exact", "operator__exact", "subject__exact")
    ordering = ("-id",)
    page = "staff_action"
    rows_name = "acts"

    @admin.display(description="Row")
    def row(self, action: StaffAction) -> str:
        """Return the kind of the changed row, and the end of its id: ids begin alike."""
        kind, _, pk = action.subject.partition(":")
        return (
            format_html(
                '<span class="bo-words" title="{}">{} <span class="bo-line">…{}</span></span>',
                action.subject,
                words(kind),
                pk[-6:],
            )
            if len(pk) > LONGEST_SHOWN
            else f"{words(kind)} {pk}".strip() or NOTHING
        )

    @admin.display(description="Reason and note")
    def reasons(self, action: StaffAction) -> str:
        """Return the reason, the note and the ticket."""
        texts = (reason(action.reason), action.note, action.ticket)
        return ": ".join(filter(None, texts)) or NOTHING


@operator_pages.page(
    "staff-action/<uuid:pk>/", name="staff_action", permission="credits.view_staffaction"
)
def staff_action(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show an act: who did what to which row, why, and the changed values."""
    found = StaffAction.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    account = ("Account", found.user_id or "", address_of(found.user_id or ""))
    about = ("Row", found.subject, address_of_subject(request, found.subject))
    row = ShownRow(
        f"{found.operator}: {words(found.action)}",
        f"staff_action:{pk}",
        reverse("admin:staff_action", args=(pk,)),
        _facts(found, linked=bool(about[2])),
        links=tuple(link for link in (account, about) if link[1] and link[2]),
        blocks=(("Before", _lines(found.before)), ("After", _lines(found.after))),
    )
    return row_pages.show(request, row)


def _facts(found: StaffAction, *, linked: bool) -> row_pages.Facts:
    facts = [
        ("Time", moment(found.at)),
        *([] if linked else [("Row", found.subject)]),
        ("Reason", reason(found.reason)),
        ("Note", found.note),
        ("Ticket", found.ticket),
        ("Credits moved", found.moved and amount(found.moved)),
        ("Permission", found.action),
        ("From", found.address),
        ("Request", found.request_id),
        ("Id", found.pk),
    ]
    return [(name, value or NOTHING) for name, value in facts]


def _lines(values: dict[str, Any]) -> str:
    return "\n".join(f"{words(name)}: {_written(name, value)}" for name, value in values.items())


def _written(name: str, value: Any) -> str:
    """Return a value of an act's record as on the other pages."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("cents") and isinstance(value, int):
        return euros(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)
