"""Pages of reservations, subscriptions and messages, and of acts on them."""

from datetime import UTC, datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from credits.amounts import counted
from credits.models import Balance, OutboxMessage, Reservation, SyncSubscription, Transaction
from credits.sync import cloud_sync
from mana_credits.back_office.acts import interventions
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import (
    NOTHING,
    actor,
    amount,
    moment,
    pretty,
)

CHARGES_SHOWN = 24


@operator_pages.page(
    "reservation/<uuid:pk>/", name="reservation", permission="credits.view_reservation"
)
def reservation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a reservation."""
    return row_pages.show(request, _reservation(request, pk))


@operator_pages.page(
    "reservation/<uuid:pk>/release/",
    name="release_reservation",
    permission="credits.release_reservation",
)
def release(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Release a stuck reservation."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        released = interventions.release_reservation(
            operator_pages.operator_of(request), pk, why=form.why, key=form.act_key
        )
        return f"{counted(released.amount, 'credit')} released."

    return row_pages.act_on(
        request, lambda: _reservation(request, pk), form, "Release reservation", do
    )


@operator_pages.page("sync/", name="sync", permission="credits.view_syncsubscription")
def sync(request: HttpRequest) -> HttpResponse:
    """Show a user's Cloud Sync with its charges."""
    row = _sync(request)
    charges = Transaction.objects.filter(
        user_id=request.GET["user"], operation=cloud_sync.OPERATION
    ).order_by("-number")
    return row_pages.show(request, row, transactions=charges[:CHARGES_SHOWN])


@operator_pages.page("sync/give/", name="give_sync", permission="credits.give_sync")
def give(request: HttpRequest) -> HttpResponse:
    """Give Cloud Sync to a user for free."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        interventions.give_sync(
            operator_pages.operator_of(request),
            request.GET["user"],
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "Cloud Sync is now free for this user."

    return row_pages.act_on(request, lambda: _sync(request), form, "Give Cloud Sync", do)


@operator_pages.page("sync/revoke/", name="revoke_sync", permission="credits.give_sync")
def revoke(request: HttpRequest) -> HttpResponse:
    """Revoke free Cloud Sync."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        interventions.revoke_sync(
            operator_pages.operator_of(request),
            request.GET["user"],
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "Cloud Sync is no longer free for this user."

    return row_pages.act_on(request, lambda: _sync(request), form, "Take Cloud Sync back", do)


@operator_pages.page("message/<uuid:pk>/", name="message", permission="credits.view_outboxmessage")
def message(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a message."""
    return row_pages.show(request, _message(request, pk))


@operator_pages.page(
    "message/<uuid:pk>/retry/", name="retry_message", permission="credits.retry_message"
)
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a dead message again."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        interventions.retry_message(
            operator_pages.operator_of(request),
            pk,
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "The worker sends the message within a minute."

    return row_pages.act_on(request, lambda: _message(request, pk), form, "Send again", do)


def sync_address(user_id: str, page: str = "sync") -> str:
    """Return the URL of a user's Cloud Sync, or of an act on it."""
    return f"{reverse(f'admin:{page}')}?{urlencode({'user': user_id})}"


def _reservation(request: HttpRequest, pk: UUID) -> ShownRow:
    found = Reservation.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    releasable = found.status == "open" and request.user.has_perm("credits.release_reservation")
    return ShownRow(
        f"{counted(found.amount, 'credit')} held: {found.reason}",
        f"reservation:{pk}",
        reverse("admin:reservation", args=(pk,)),
        [
            ("App", found.app_id),
            ("Made", f"{moment(found.created_at)} by {actor(found.actor)}"),
            ("Expires", moment(found.expires_at)),
            ("Settled", moment(found.settled_at)),
            ("Taken", amount(found.committed_amount)),
            ("Operation", found.operation),
            ("Request", found.request_id),
            ("Id", found.pk),
        ],
        status=found.status,
        links=(("Account", found.user_id, address_of(found.user_id)),),
        acts=(("Release", reverse("admin:release_reservation", args=(pk,))),) if releasable else (),
        user_id=found.user_id,
    )


def _sync(request: HttpRequest) -> ShownRow:
    user_id = request.GET.get("user", "").replace("\0", "")
    known = (SyncSubscription.objects, Balance.objects)
    if not any(table.filter(pk=user_id).exists() for table in known):
        raise Http404
    found = cloud_sync.status(user_id)
    return ShownRow(
        f"Cloud Sync, {found.interval}",
        f"sync:{user_id}",
        sync_address(user_id),
        [
            ("Paid", f"{moment(found.paid_from)} to {moment(found.paid_until)}"),
            ("Next charge", moment(found.next_charge_at)),
            ("Paused", moment(found.paused_at)),
            ("Given free since", moment(found.gifted_at)),
            ("Given by", found.gifted_by),
        ],
        locked=SyncSubscription.objects.filter(pk=user_id),
        status="active" if found.active else "paused" if found.paused_at else "off",
        links=(("Account", user_id, address_of(user_id)),),
        acts=_acts_on_sync(request, found),
        user_id=user_id,
    )


def _acts_on_sync(request: HttpRequest, found: SyncSubscription) -> tuple[tuple[str, str], ...]:
    if not request.user.has_perm("credits.give_sync"):
        return ()
    if found.gifted:
        return (("Take back", sync_address(found.pk, "revoke_sync")),)
    return (("Give", sync_address(found.pk, "give_sync")),)


def _message(request: HttpRequest, pk: UUID) -> ShownRow:
    found = OutboxMessage.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    may_read = request.user.has_perm("credits.retry_message")
    dead = found.status == "dead" and may_read
    return ShownRow(
        f"Message {found.body.get('subject') or found.key}",
        f"message:{pk}",
        reverse("admin:message", args=(pk,)),
        [
            ("Key", found.key),
            ("Attempts", found.attempts),
            ("Next attempt", moment(found.due_at) if found.status == "pending" else NOTHING),
            ("Written", moment(found.created_at)),
            ("Delivered", moment(found.delivered_at)),
            ("Last error", found.last_error or NOTHING),
        ],
        locked=OutboxMessage.objects.filter(pk=pk),
        status=found.status,
        links=(("Account", found.user_id, address_of(found.user_id)),),
        acts=(("Send again", reverse("admin:retry_message", args=(pk,))),) if dead else (),
        # The text may contain a gift link, which anybody could redeem.
        blocks=(("Message", pretty(found.body)),) if may_read else (),
        user_id=found.user_id,
    )
