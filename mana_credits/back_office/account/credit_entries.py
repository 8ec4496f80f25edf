"""Timeline entries of the app `credits`: movements, purchases, reservations, operators' acts."""

from collections.abc import Iterable

from django.db.models import Q

from credits.amounts import noun
from credits.ledger.history import History
from credits.models import (
    AdjustmentRequest,
    MoneyBack,
    Purchase,
    Reservation,
    StaffAction,
    SyncSubscription,
)
from mana_credits.back_office.account.entry import EntryWindow, TimelineEntry, within
from mana_credits.back_office.acts import looks
from mana_credits.back_office.templatetags.office import euros, in_credits, signed


def transactions(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the user's transactions, newest first."""
    filters = {"created_at__lt": window.until} if window.until else {}
    cursor = None if window.after is None else int(window.after)
    for row in History(user_id, filters).page(limit=window.limit, cursor=cursor):
        title = row.description or row.get_type_display()
        yield TimelineEntry(
            row.created_at, "transactions", str(row.number), title, row, row.amount, row.type
        )


def purchases(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the user's purchases, newest first."""
    rows = Purchase.objects.filter(user_id=user_id).select_related("package")
    for row in within(rows, window, column="number"):
        title = f"{row.package.name}: {in_credits(row.credits)} for {euros(row.price_euro_cents)}"
        yield TimelineEntry(
            row.created_at, "purchases", str(row.number), title, row, status=row.status
        )


def returns(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the refunds and disputes of the user's purchases, newest first."""
    # A refund may be reported before its purchase is known to be paid, so it refers to the payment
    # and not to the purchase.
    payments = Purchase.objects.filter(user_id=user_id, stripe_payment_intent_id__isnull=False)
    rows = MoneyBack.objects.filter(
        stripe_payment_intent_id__in=payments.values("stripe_payment_intent_id")
    )
    for row in within(rows, window):
        title = f"{row.get_kind_display()} of {euros(row.amount_cents)}"
        yield TimelineEntry(row.created_at, "returns", str(row.pk), title, row, status=row.state)


def reservations(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the user's reservations, newest first."""
    # A committed reservation appears as its transaction.
    rows = Reservation.objects.filter(~Q(status=Reservation.Status.COMMITTED), user_id=user_id)
    for row in within(rows, window):
        title = f"{in_credits(row.amount)} held: {row.reason}"
        yield TimelineEntry(
            row.created_at, "reservations", str(row.pk), title, row, status=row.status
        )


def staff_actions(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return operators' acts on the account, newest first."""
    # Views of the account are in the audit trail. Here they would hide what changed it.
    rows = StaffAction.objects.filter(user_id=user_id).exclude(action__in=looks.ACTIONS)
    for row in within(rows, window, at="at"):
        action = row.action.partition(".")[2] or row.action
        title = f"{row.operator}: {action.replace('_', ' ')}"
        yield TimelineEntry(row.at, "staff", str(row.pk), title, row)


def adjustment_requests(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return requested adjustments, newest first."""
    rows = AdjustmentRequest.objects.filter(user_id=user_id)
    for row in within(rows, window, at="requested_at"):
        title = (
            f"{row.requested_by} asked for {signed(row.amount)} {noun(abs(row.amount), 'credit')}"
        )
        yield TimelineEntry(
            row.requested_at, "requests", str(row.pk), title, row, status=row.status
        )


def subscription(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the user's Cloud Sync subscription as one entry."""
    row = SyncSubscription.objects.filter(pk=user_id).first()
    if row and window.after is None and (not window.until or row.updated_at < window.until):
        status = "active" if row.active else "paused" if row.paused_at else "off"
        title = f"Cloud Sync, {row.get_interval_display().lower()}"
        yield TimelineEntry(row.updated_at, "subscription", "1", title, row, status=status)
