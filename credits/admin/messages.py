"""The outbox: what other services are told, and what never reached them."""

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from credits import operating
from credits.admin.account import address_of
from credits.admin.dashboard import Alarm, add_alarm
from credits.models import OutboxMessage
from credits.office import pages
from credits.office.lists import LABELS, ReadOnlyList
from credits.office.pages import Fact, Link
from credits.templatetags.office import moment, pretty

Status = OutboxMessage.Status


@admin.register(OutboxMessage)
class Messages(ReadOnlyList):
    """Messages, newest first."""

    page = "message"
    list_display = ("when", "user_id", "state", "attempts", "due", "last_error")
    list_filter = ("status",)
    search_fields = ("user_id__exact",)
    ordering = ("-id",)

    @display(description="Written")
    def when(self, row: OutboxMessage) -> str:
        """Return when it was written."""
        return moment(row.created_at)

    @display(description="Next attempt")
    def due(self, row: OutboxMessage) -> str:
        """Return when it is tried next."""
        return moment(row.due_at) if row.status == Status.PENDING else ""

    @display(description="Status", label=LABELS)
    def state(self, row: OutboxMessage) -> str:
        """Return its status."""
        return row.status


@pages.page("message/<uuid:pk>/", name="message", permission="credits.view_outboxmessage")
def message(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a message."""
    row = _message(pk)
    may = request.user.has_perm("credits.retry_message") and row.status == Status.DEAD
    return pages.row_page(
        request,
        "Message",
        row.key,
        status=row.status,
        facts=[
            Fact("Account", row.user_id, address_of(row.user_id)),
            Fact("Written", f"{moment(row.created_at)} UTC"),
            Fact("Delivered", moment(row.delivered_at)),
            Fact("Attempts", row.attempts),
            Fact("Last error", row.last_error),
            Fact("Id", row.pk),
        ],
        links=[Link("Send again", reverse("admin:retry", args=(pk,)))] if may else [],
        text_title="What it says",
        text=pretty(row.body),
    )


@pages.page("message/<uuid:pk>/retry/", name="retry", permission="credits.retry_message")
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let the worker try a dead message again."""
    row = _message(pk)
    form = pages.ActForm(request.POST or None)

    def do() -> str:
        operating.retry_message(
            pages.operator_of(request), pk, key=form.act_key, now=datetime.now(UTC)
        )
        return "The worker sends it again."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:message", args=(pk,)),
        title="Send a message again",
        button="Send again",
        facts=[Fact("Message", row.key), Fact("Last error", row.last_error)],
    )


def _message(pk: UUID) -> OutboxMessage:
    found = OutboxMessage.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


add_alarm(
    Alarm(
        "messages reached nobody",
        OutboxMessage.objects.filter(status=Status.DEAD).count,
        "admin:credits_outboxmessage_changelist",
    )
)
