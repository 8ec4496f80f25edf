"""Lists of this app's rows."""

from django.contrib import admin

from credits.models import Purchase, Reservation, StaffAction, SyncSubscription
from credits.office.lists import ReadOnlyList


@admin.register(StaffAction)
class StaffActions(ReadOnlyList):
    """The audit trail."""

    list_display = ("at", "operator", "action", "user_id", "subject", "reason", "note", "address")
    list_filter = ("action", "operator")
    search_fields = ("user_id__exact", "operator__exact", "subject__exact")
    ordering = ("-id",)


@admin.register(Purchase)
class Purchases(ReadOnlyList):
    """Purchases."""

    list_display = ("number", "user_id", "package", "credits", "price_euro_cents", "status")
    related = ("package",)
    ordering = ("-number",)


@admin.register(Reservation)
class Reservations(ReadOnlyList):
    """Reservations."""

    list_display = ("user_id", "amount", "status", "reason", "created_at", "expires_at")
    ordering = ("-id",)


@admin.register(SyncSubscription)
class Subscriptions(ReadOnlyList):
    """Cloud Sync subscriptions."""

    list_display = ("user_id", "interval", "renews", "paid_until", "paused_at", "gifted_at")
    ordering = ("user_id",)
