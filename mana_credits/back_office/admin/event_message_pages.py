"""Pages of the messages about events: the list, and one message with its content."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from mana_credits.back_office.acts import event_subscription_changes as changes
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList, on_one_line
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import moment, pretty
from mana_credits.service_events.models import EventMessage


@admin.register(EventMessage)
class EventMessages(ReadOnlyList):
    """Messages about events, the newest first."""

    list_display = ("event", "service", "user_id", "status", "attempts", "created_at", "due")
    titles: ClassVar = {"user_id": "Account", "created_at": "Since"}
    search_help_text = "User id or service"
    list_filter = ("status",)
    search_fields = ("user_id__exact", "subscription__service__exact")
    ordering = ("-number",)
    rows_name = "events"
    page = "event_message"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the messages; one more query reads their subscriptions."""
        # With a join, PostgreSQL would sort the messages of all pages to show one page.
        rows: QuerySet[Any] = super().get_queryset(request).prefetch_related("subscription")
        return rows

    @admin.display(description="Receiver")
    def service(self, message: EventMessage) -> str:
        """Return the service that receives the event."""
        return message.subscription.service

    @admin.display(description="Next attempt")
    def due(self, message: EventMessage) -> str:
        """Return when the next attempt is, or a dash if there is none."""
        return _next_attempt(message)


@operator_pages.page(
    "event-message/<uuid:pk>/",
    name="event_message",
    permission="service_events.view_eventmessage",
)
def event_message(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a message."""
    return row_pages.show(request, _row(request, pk))


@operator_pages.page(
    "event-message/<uuid:pk>/replay/", name="replay_event", permission=changes.REPLAY
)
def replay_event(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a message again."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        operator = operator_pages.operator_of(request)
        changes.replay(operator, pk, **form.how)
        return "The message is sent again within seconds."

    return row_pages.act_on(request, lambda: _row(request, pk), form, "Replay message", do)


def _next_attempt(message: EventMessage) -> str:
    if message.status == "pending" and message.subscription.paused_at:
        return "when resumed"
    return on_one_line(message.due_at if message.status == "pending" else None)


def _row(request: HttpRequest, pk: UUID) -> ShownRow:
    found = EventMessage.objects.select_related("subscription").filter(pk=pk).first()
    if found is None:
        raise Http404
    # A pending message is sent anyway.
    may = found.status != "pending" and request.user.has_perm(changes.REPLAY)
    to = found.subscription
    return ShownRow(
        f"Event {found.event}",
        f"event_message:{pk}",
        reverse("admin:event_message", args=[pk]),
        [
            ("Id at the receiver", f"msg_{pk.hex}"),
            ("Sequence", found.number),
            ("Written", moment(found.created_at)),
            ("Attempts", found.attempts),
            ("Next attempt", _next_attempt(found)),
            ("Delivered", moment(found.delivered_at)),
        ],
        locked=EventMessage.objects.filter(pk=pk),
        status=found.status,
        links=(
            ("Receiver", to.service, reverse("admin:event_subscription", args=[to.pk])),
            ("Account", found.user_id, address_of(found.user_id)),
        ),
        acts=(("Replay", reverse("admin:replay_event", args=[pk])),) if may else (),
        blocks=(("Last error", found.last_error), ("Data", pretty(found.data))),
    )
