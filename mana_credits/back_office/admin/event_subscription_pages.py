"""Pages of the subscriptions of services to events."""

from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from mana_credits.back_office.acts import event_subscription_changes as changes
from mana_credits.back_office.admin.service_key_pages import RotateForm
from mana_credits.back_office.frame import operator_pages, row_pages, secret_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import moment
from mana_credits.service_events import event_types
from mana_credits.service_events.models import (
    NAME_LENGTH,
    URL_LENGTH,
    EventMessage,
    EventSubscription,
)

TITLE = "Event subscription"
PERMISSION = changes.PERMISSION
VIEW = "service_events.view_eventsubscription"
LIST = "admin:service_events_eventsubscription_changelist"


class SubscriptionForm(WhyForm):
    """A new subscription."""

    service = forms.CharField(max_length=NAME_LENGTH)
    url = forms.CharField(
        label="URL", max_length=URL_LENGTH, help_text="https:// and a host of EVENT_HOSTS."
    )
    events = forms.MultipleChoiceField(
        choices=[(event, event) for event in event_types.ALL], widget=forms.CheckboxSelectMultiple
    )
    field_order = ("service", "url", "events", "note", "ticket")


@admin.register(EventSubscription)
class EventSubscriptions(ReadOnlyList):
    """Subscriptions of services to events."""

    list_display = ("service", "url", "created_at", "paused_at", "retry_at", "ended_at")
    titles: ClassVar = {
        "url": "Address",
        "created_at": "Since",
        "paused_at": "Paused",
        "retry_at": "Next attempt",
        "ended_at": "Ended",
    }
    search_help_text = "Service"
    search_fields = ("service__exact",)
    ordering = ("-id",)
    page = "event_subscription"
    change_list_template = "back_office/event_subscriptions.html"


@operator_pages.page("event-subscription/<uuid:pk>/", name="event_subscription", permission=VIEW)
def event_subscription(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a subscription with the operators' acts on it."""
    return row_pages.show(request, _row(request, pk))


@operator_pages.page(
    "event-subscription/new/", name="new_event_subscription", permission=PERMISSION
)
def new_event_subscription(request: HttpRequest) -> HttpResponse:
    """Create a subscription and show its secret once."""
    form = SubscriptionForm(request.POST or None)

    def create() -> tuple[ShownRow, str]:
        data = form.cleaned_data
        new = (data["service"], data["url"], data["events"])
        made, secret = changes.create(operator_pages.operator_of(request), new, **form.how)
        return _row(request, made.pk), secret

    row = ShownRow("New event subscription", "", reverse(LIST), [])
    verb = "Create subscription"
    return secret_pages.show_once(request, lambda: row, form, verb, create, title=TITLE)


@operator_pages.page(
    "event-subscription/<uuid:pk>/rotate/", name="rotate_event_secret", permission=PERMISSION
)
def rotate_event_secret(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Replace the secret and show the new one once."""
    form = RotateForm(request.POST or None)

    def rotate() -> tuple[ShownRow, str]:
        operator = operator_pages.operator_of(request)
        overlap = timedelta(hours=form.cleaned_data["hours"])
        _, secret = changes.rotate(operator, pk, overlap=overlap, **form.how)
        return _row(request, pk), secret

    def read() -> ShownRow:
        return _row(request, pk)

    return secret_pages.show_once(request, read, form, "Rotate secret", rotate, title=TITLE)


@operator_pages.page(
    "event-subscription/<uuid:pk>/pause/", name="pause_events", permission=PERMISSION
)
def pause_events(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stop deliveries."""
    text = "Deliveries are paused. Messages are collected."
    return _act(request, pk, "Pause deliveries", changes.pause, text)


@operator_pages.page(
    "event-subscription/<uuid:pk>/resume/", name="resume_events", permission=PERMISSION
)
def resume_events(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Continue deliveries."""
    text = "Deliveries continue within seconds."
    return _act(request, pk, "Resume deliveries", changes.resume, text)


@operator_pages.page("event-subscription/<uuid:pk>/end/", name="end_events", permission=PERMISSION)
def end_events(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a subscription."""
    text = "The subscription has ended. Its messages are deleted tonight."
    return _act(request, pk, "End subscription", changes.end, text)


@operator_pages.page(
    "event-subscription/<uuid:pk>/replay/", name="replay_parked", permission=changes.REPLAY
)
def replay_parked(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send all parked messages again."""
    text = "The parked messages are sent again within seconds."
    return _act(request, pk, "Replay parked messages", changes.replay_parked, text)


def _act(
    request: HttpRequest, pk: UUID, verb: str, act: Callable[..., object], text: str
) -> HttpResponse:
    form = WhyForm(request.POST or None)

    def do() -> str:
        act(operator_pages.operator_of(request), pk, **form.how)
        return text

    return row_pages.act_on(request, lambda: _row(request, pk), form, verb, do)


def _row(request: HttpRequest, pk: UUID) -> ShownRow:
    found = EventSubscription.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    parked = EventMessage.objects.filter(subscription=pk, status="parked").count()
    return ShownRow(
        f"Events for {found.service}",
        changes.subject(found),
        reverse("admin:event_subscription", args=[pk]),
        [
            ("URL", found.url),
            ("Events", ", ".join(found.events)),
            ("Created", f"{moment(found.created_at)} by {found.created_by}"),
            ("Old secret signs until", moment(found.prior_secret_until)),
            ("Paused", moment(found.paused_at)),
            ("Attempts without an answer", found.failures),
            ("Next attempt", moment(found.retry_at)),
            ("Parked messages", parked),
            ("Ended", moment(found.ended_at)),
        ],
        locked=EventSubscription.objects.filter(pk=pk),
        # These change with each delivery. A form about the subscription does not become stale by
        # them.
        passing=("Attempts without an answer", "Next attempt", "Parked messages"),
        status=found.status,
        acts=tuple(
            (verb, reverse(f"admin:{page}", args=[pk]))
            for verb, page, permission in _acts(found, parked)
            if request.user.has_perm(permission)
        ),
    )


def _acts(found: EventSubscription, parked: int) -> list[tuple[str, str, str]]:
    """Return the verb, the page and the permission of each act that is possible now."""
    if found.ended_at:
        return []
    stop = ("Resume", "resume_events") if found.paused_at else ("Pause", "pause_events")
    acts = [("Rotate", "rotate_event_secret", PERMISSION), (*stop, PERMISSION)]
    if parked:
        acts.append(("Replay parked", "replay_parked", changes.REPLAY))
    return [*acts, ("End", "end_events", PERMISSION)]
