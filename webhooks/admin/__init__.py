"""Stripe's events in the back office."""

import json
from datetime import UTC, datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from credits.admin.dashboard import Alarm, add_alarm
from credits.admin.purchases import add_table
from credits.models import Purchase
from credits.office import pages
from credits.office.entries import Look, add_look
from credits.office.lists import LABELS, ReadOnlyList
from credits.office.pages import Fact, Link, Table
from credits.templatetags.office import moment, pretty
from webhooks import operating
from webhooks.models import StripeEvent


class Processed(admin.SimpleListFilter):
    """What became of an event."""

    title = "state"
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: "admin.ModelAdmin[StripeEvent]"
    ) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("waiting", "not processed"), *StripeEvent.Outcome.choices]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[StripeEvent]
    ) -> QuerySet[StripeEvent]:
        """Return the rows of the choice."""
        if self.value() == "waiting":
            return queryset.filter(processed_at__isnull=True)
        return queryset.filter(outcome=self.value()) if self.value() else queryset


@admin.register(StripeEvent)
class Events(ReadOnlyList):
    """Events, those that wait or failed first."""

    page = "event"
    list_display = ("when", "id", "type", "state", "attempts", "purchase_number")
    list_filter = (Processed, "type")
    search_fields = ("id__exact",)
    related = ("purchase",)
    ordering = ("-created_at",)

    @display(description="Made by Stripe")
    def when(self, row: StripeEvent) -> str:
        """Return when Stripe made it."""
        return moment(row.created_at)

    @display(description="State", label=LABELS)
    def state(self, row: StripeEvent) -> str:
        """Return what became of it."""
        return _state(row)

    @display(description="Purchase")
    def purchase_number(self, row: StripeEvent) -> str:
        """Return the number of its purchase."""
        return str(row.purchase.number) if row.purchase else ""


@pages.page("event/<str:pk>/", name="event", permission="webhooks.view_stripeevent")
def event(request: HttpRequest, pk: str) -> HttpResponse:
    """Show an event with its payload."""
    row = _event(pk)
    may = request.user.has_perm("webhooks.process_event") and row.processed_at is None
    purchase = reverse("admin:purchase", args=(row.purchase_id,)) if row.purchase_id else ""
    return pages.row_page(
        request,
        "Event of Stripe",
        row.type,
        status=_state(row),
        facts=[
            Fact("Id", row.pk),
            Fact("Made", f"{moment(row.created_at)} UTC"),
            Fact("Received", moment(row.received_at)),
            Fact("Processed", moment(row.processed_at)),
            Fact("Failed attempts", row.attempts),
            Fact("Purchase", row.purchase.number if row.purchase else None, purchase),
        ],
        links=[Link("Process again", reverse("admin:process_event", args=(pk,)))] if may else [],
        warnings=[row.error] if row.error else [],
        text_title="Payload",
        text=_payload(row),
    )


@pages.page("event/<str:pk>/process/", name="process_event", permission="webhooks.process_event")
def process_event(request: HttpRequest, pk: str) -> HttpResponse:
    """Apply an event that failed, now."""
    row = _event(pk)
    form = pages.ActForm(request.POST or None)

    def do() -> str:
        done = operating.process_event(
            pages.operator_of(request), pk, key=form.act_key, now=datetime.now(UTC)
        )
        return f"Processed: {done.outcome}."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:event", args=(pk,)),
        title="Process an event again",
        button="Process",
        facts=[Fact("Event", pk), Fact("Type", row.type)],
    )


def events_of(purchase: Purchase) -> Table:
    """Return a purchase's events, for its page."""
    rows = StripeEvent.objects.filter(purchase=purchase).order_by("-created_at")[:100]
    return Table(
        "Events of Stripe",
        ("Made", "Type", "State", "Event"),
        [
            (
                moment(one.created_at),
                one.type,
                _state(one),
                Link(one.pk, reverse("admin:event", args=(one.pk,))),
            )
            for one in rows
        ],
    )


def _event(pk: str) -> StripeEvent:
    found = StripeEvent.objects.select_related("purchase").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _state(row: StripeEvent) -> str:
    if row.processed_at is None:
        return "failed" if row.error else "pending"
    return row.outcome or ""


def _payload(row: StripeEvent) -> str:
    return pretty(json.loads(row.payload)) if row.payload else "Emptied after its time."


add_table(events_of)
add_look(
    "events",
    Look(
        "webhook",
        lambda row: reverse("admin:event", args=(row.pk,)),
        lambda row: iter((row.pk,)),
    ),
)
add_alarm(
    Alarm(
        "events of Stripe wait or failed",
        StripeEvent.objects.filter(processed_at__isnull=True).count,
        "admin:webhooks_stripeevent_changelist",
    )
)
