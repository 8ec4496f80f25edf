"""Pages of Stripe's events: the list, failed ones first, and one event with its payload."""

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits.models import Purchase
from mana_credits.back_office.acts import event_retries
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList, pill
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import NOTHING, moment, pretty
from webhooks.models import StripeEvent


@admin.register(StripeEvent)
class StripeEvents(ReadOnlyList):
    """Stripe's events, unprocessed ones first."""

    list_display = ("received_at", "type", "state", "attempts", "processed_at", "id")
    titles: ClassVar = {"received_at": "Received", "processed_at": "Processed", "id": "Event"}
    search_help_text = "Event, type or user id"
    list_filter = ("outcome",)
    search_fields = ("id__exact", "type__exact", "purchase__user_id__exact")
    # PostgreSQL puts NULLs first in a descending order. Therefore events that wait are at the top.
    ordering = ("-processed_at", "-received_at", "-id")
    page = "stripe_event"
    rows_name = "Stripe events"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the events with this id, of this user's purchases, or else of this type.

        One condition for all three would read the whole table.
        """
        text = search_term.strip()
        if not text:
            return queryset, False
        if text.startswith("evt_"):
            return queryset.filter(pk=text), False
        bought = Purchase.objects.filter(user_id=text)
        if bought.exists():
            return queryset.filter(purchase__in=bought), False
        return queryset.filter(type=text), False

    @admin.display(description="Outcome")
    def state(self, event: StripeEvent) -> str:
        """Return the outcome, or what an event without one waits for."""
        return pill(event.outcome or ("failed" if event.error else "pending"))


@operator_pages.page(
    "stripe-event/<str:pk>/", name="stripe_event", permission="webhooks.view_stripeevent"
)
def event(request: HttpRequest, pk: str) -> HttpResponse:
    """Show an event with its payload."""
    return row_pages.show(request, _event(request, pk))


@operator_pages.page(
    "stripe-event/<str:pk>/process/", name="process_event", permission="webhooks.process_event"
)
def process(request: HttpRequest, pk: str) -> HttpResponse:
    """Process an event again."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        done = event_retries.process_event(
            operator_pages.operator_of(request),
            pk,
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        if done.is_due:
            return f"The event failed again. {_last_line(done.error)}"
        return f"Processed: {done.outcome}."

    return row_pages.act_on(request, lambda: _event(request, pk), form, "Process again", do)


def _last_line(text: str | None) -> str:
    """Return the last line, which is the error itself in a traceback."""
    return (text or NOTHING).strip().splitlines()[-1]


def _event(request: HttpRequest, pk: str) -> ShownRow:
    found = StripeEvent.objects.select_related("purchase").filter(pk=pk).first()
    if found is None:
        raise Http404
    links: tuple[tuple[str, str, str], ...] = ()
    if purchase := found.purchase:
        links = (
            ("Purchase", str(purchase.number), reverse("admin:purchase", args=(purchase.pk,))),
            ("Account", purchase.user_id, address_of(purchase.user_id)),
        )
    # An event that was applied is not due. One that could not be read may be processed again.
    waits = found.is_due and request.user.has_perm("webhooks.process_event")
    return ShownRow(
        f"Stripe event {found.type}",
        f"event:{pk}",
        reverse("admin:stripe_event", args=(pk,)),
        [
            ("Id", pk),
            ("Made at Stripe", moment(found.created_at)),
            ("Received", moment(found.received_at)),
            ("Processed", moment(found.processed_at)),
            ("Attempts", found.attempts),
            ("Failed with", NOTHING if found.processed_at else _last_line(found.error)),
        ],
        locked=StripeEvent.objects.filter(pk=pk),
        # The worker tries a failed event again and again.
        passing=("Attempts", "Failed with"),
        status=found.outcome or ("failed" if found.error else "pending"),
        links=links,
        acts=(("Process again", reverse("admin:process_event", args=(pk,))),) if waits else (),
        blocks=(
            ("Reason" if found.processed_at else "Error", found.error or ""),
            ("Payload", _readable(found.payload)),
        ),
        user_id=found.purchase.user_id if found.purchase else "",
    )


def _readable(payload: str) -> str:
    try:
        return pretty(json.loads(payload))
    except (ValueError, RecursionError):  # the payload was deleted, or is not JSON
        return payload
