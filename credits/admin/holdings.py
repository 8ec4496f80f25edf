"""Reservations and Cloud Sync subscriptions."""

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from credits import cloud_sync, operating
from credits.admin.account import address_of
from credits.admin.adjusting import WhyForm
from credits.models import Balance, Reservation, StaffAction, SyncSubscription, Transaction
from credits.office import pages
from credits.office.lists import LABELS, ReadOnlyList
from credits.office.pages import Fact, Link, Table
from credits.templatetags.office import amount, moment, signed


@admin.register(Reservation)
class Reservations(ReadOnlyList):
    """Reservations, newest first."""

    page = "reservation"
    list_display = ("when", "user_id", "worth", "app_id", "reason", "until", "state")
    list_filter = ("status",)
    search_fields = ("user_id__exact",)
    ordering = ("-id",)

    @display(description="Reserved")
    def when(self, row: Reservation) -> str:
        """Return when it was made."""
        return moment(row.created_at)

    @display(description="Credits")
    def worth(self, row: Reservation) -> str:
        """Return what it holds."""
        return amount(row.amount)

    @display(description="Until")
    def until(self, row: Reservation) -> str:
        """Return when it expires."""
        return moment(row.expires_at)

    @display(description="Status", label=LABELS)
    def state(self, row: Reservation) -> str:
        """Return its status."""
        return row.status


@admin.register(SyncSubscription)
class Subscriptions(ReadOnlyList):
    """Cloud Sync subscriptions."""

    page = "subscription_of"
    list_display = ("user_id", "interval", "renews", "paid", "paused", "gifted_by")
    list_filter = ("renews", "interval", ("gifted_at", admin.EmptyFieldListFilter))
    search_fields = ("user_id__exact",)
    ordering = ("user_id",)

    @display(description="Paid until")
    def paid(self, row: SyncSubscription) -> str:
        """Return the end of the period that is paid."""
        return moment(row.paid_until)

    @display(description="Paused")
    def paused(self, row: SyncSubscription) -> str:
        """Return since when it is paused."""
        return moment(row.paused_at)


@pages.page("reservation/<uuid:pk>/", name="reservation", permission="credits.view_reservation")
def reservation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a reservation."""
    row = _reservation(pk)
    releasable = row.status == Reservation.Status.OPEN
    entry = reverse("admin:transaction", args=(row.transaction_id,)) if row.transaction_id else ""
    return pages.row_page(
        request,
        "Reservation",
        f"{amount(row.amount)} credits held: {row.reason}",
        status=row.status,
        facts=[
            Fact("Account", row.user_id, address_of(row.user_id)),
            Fact("Reserved", f"{moment(row.created_at)} UTC by {row.actor}"),
            Fact("Until", f"{moment(row.expires_at)} UTC"),
            Fact("Settled", moment(row.settled_at)),
            Fact("Taken", amount(row.committed_amount), entry),
            Fact("App", row.app_id),
            Fact("Operation", row.operation),
            Fact("Request", row.request_id),
            Fact("Id", row.pk),
        ],
        links=[Link("Release", reverse("admin:release", args=(pk,)))]
        if releasable and request.user.has_perm("credits.release_reservation")
        else [],
        tables=[_acts(StaffAction.objects.filter(subject=f"reservation:{pk}"))],
    )


@pages.page(
    "reservation/<uuid:pk>/release/", name="release", permission="credits.release_reservation"
)
def release(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Free the credits of a stuck reservation."""
    row = _reservation(pk)
    form = WhyForm(request.POST or None)

    def do() -> str:
        operating.release_reservation(
            pages.operator_of(request), pk, why=form.why, key=form.act_key
        )
        return f"{amount(row.amount)} credits are free again."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:reservation", args=(pk,)),
        title="Release a reservation",
        button="Release",
        facts=[
            Fact("Account", row.user_id, address_of(row.user_id)),
            Fact("Held", f"{amount(row.amount)} credits: {row.reason}"),
        ],
        warnings=["The operation that reserved these credits can no longer charge them."],
    )


@pages.page(
    "subscription/<path:pk>/", name="subscription_of", permission="credits.view_syncsubscription"
)
def subscription(request: HttpRequest, pk: str) -> HttpResponse:
    """Show a user's Cloud Sync and its history."""
    row = cloud_sync.status(pk)
    if row._state.adding and not Balance.objects.filter(pk=pk).exists():  # noqa: SLF001
        raise Http404
    charges = Transaction.objects.filter(user_id=pk, cause__startswith=f"sync:{pk}:")
    verb = "revoke" if row.gifted else "give"
    text = "Take the present back" if row.gifted else "Give as a present"
    status = "gifted" if row.gifted else "active" if row.active else "off"
    return pages.row_page(
        request,
        "Cloud Sync",
        f"Cloud Sync of {pk}",
        status="paused" if row.paused_at else status,
        facts=[
            Fact("Account", pk, address_of(pk)),
            Fact("Interval", row.interval),
            Fact("Renews", "yes" if row.renews else "no"),
            Fact("Paid", f"{moment(row.paid_from)} to {moment(row.paid_until)}"),
            Fact("Next charge", moment(row.next_charge_at)),
            Fact("Paused", moment(row.paused_at)),
            Fact("Present of", f"{row.gifted_by} since {moment(row.gifted_at)}")
            if row.gifted
            else Fact("Present of", None),
        ],
        links=[Link(text, f"{reverse('admin:change_sync')}?user={pk}&do={verb}")]
        if request.user.has_perm("credits.give_sync")
        else [],
        tables=[
            Table(
                "Charges",
                ("When", "Credits", "Transaction"),
                [
                    (
                        moment(one.created_at),
                        signed(one.amount),
                        Link(one.description, reverse("admin:transaction", args=(one.pk,))),
                    )
                    for one in charges.order_by("-number")[:50]
                ],
            ),
            _acts(StaffAction.objects.filter(user_id=pk, action="credits.give_sync")),
        ],
    )


@pages.page("change-sync/", name="change_sync", permission="credits.give_sync")
def change_sync(request: HttpRequest) -> HttpResponse:
    """Give Cloud Sync as a present, or take it back."""
    user_id = request.GET.get("user", "").replace("\0", "")
    giving = request.GET.get("do") != "revoke"
    if not Balance.objects.filter(pk=user_id).exists():
        raise Http404
    form = WhyForm(request.POST or None)

    def do() -> str:
        change = operating.give_sync if giving else operating.revoke_sync
        change(
            pages.operator_of(request),
            user_id,
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "Cloud Sync is a present." if giving else "The present was taken back."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:subscription_of", args=(user_id,)),
        title="Give Cloud Sync" if giving else "Take Cloud Sync back",
        button="Give" if giving else "Take back",
        facts=[Fact("Account", user_id, address_of(user_id))],
    )


def _reservation(pk: UUID) -> Reservation:
    found = Reservation.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _acts(rows: QuerySet[StaffAction]) -> Table:
    return Table(
        "What operators did",
        ("When", "Who", "Why"),
        [(moment(one.at), one.operator, one.note) for one in rows.order_by("-pk")[:50]],
    )
