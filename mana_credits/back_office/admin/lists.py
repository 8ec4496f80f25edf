"""Lists of purchases, reservations, Cloud Sync, the outbox and the catalogue."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from unfold.contrib.filters.admin import TextFilter

from credits.catalogue import catalogue
from credits.models import (
    Operation,
    OutboxMessage,
    Package,
    Purchase,
    Reservation,
    SyncSubscription,
    Transaction,
)
from credits.payments import money_back
from mana_credits.back_office.acts.price_changes import price_text
from mana_credits.back_office.admin.intervention_pages import sync_address
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList, on_one_line
from mana_credits.back_office.templatetags.office import NOTHING, actor, euros


class Quarantined(admin.SimpleListFilter):
    """A filter for purchases that wait for a decision."""

    title = "quarantine"
    parameter_name = "quarantined"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("open", "To decide"), ("decided", "Decided")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the choice."""
        if self.value() is None:
            return queryset
        return queryset.filter(
            quarantined_at__isnull=False, quarantine_resolved_at__isnull=self.value() == "open"
        )


class WonWithoutMoney(admin.SimpleListFilter):
    """A filter for purchases with a won dispute whose money has not come back."""

    title = "dispute"
    parameter_name = "dispute"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choice."""
        return [("won_without_money", "Won, money not back")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the choice."""
        if self.value() is None:
            return queryset
        disputes = money_back.won_without_money(now=datetime.now(UTC))
        payments = disputes.order_by().values("stripe_payment_intent_id")
        return queryset.filter(stripe_payment_intent_id__in=payments)


@admin.register(Purchase)
class Purchases(ReadOnlyList):
    """Purchases."""

    list_display = (
        "number",
        "user_id",
        "package_name",
        "credits",
        "euros",
        "status",
        "quarantined_at",
        "created_at",
    )
    sorts: ClassVar = {"number": "number"}
    titles: ClassVar = {
        "number": "No.",
        "user_id": "Account",
        "quarantined_at": "Quarantined",
        "created_at": "Started",
    }
    search_help_text = "User id, payment intent or session"
    list_filter = ("status", Quarantined, WonWithoutMoney)
    search_fields = (
        "user_id__exact",
        "stripe_payment_intent_id__exact",
        "stripe_checkout_session_id__exact",
    )
    related = ("package",)
    page = "purchase"
    ordering = ("-number",)

    @admin.display(description="Package")
    def package_name(self, purchase: Purchase) -> str:
        """Return the package of the purchase."""
        return purchase.package.name

    @admin.display(description="Price")
    def euros(self, purchase: Purchase) -> str:
        """Return the price in euros."""
        return euros(purchase.price_euro_cents)


class AppFilter(TextFilter):  # type: ignore[misc]
    """A filter by app."""

    title = "app"
    parameter_name = "app"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the transactions of the app with this id."""
        return queryset.filter(app_id=self.value().strip()) if self.value() else queryset


@admin.register(Transaction)
class Transactions(ReadOnlyList):
    """The transactions of all accounts, newest first: ids sort by time."""

    list_display = (
        "created_at",
        "user_id",
        "type",
        "amount",
        "balance_after",
        "what",
        "app_id",
        "by",
    )
    sorts: ClassVar = {"created_at": "id"}
    titles: ClassVar = {
        "created_at": "Time",
        "user_id": "Account",
        "amount": "Credits",
        "balance_after": "Balance (credits)",
        "app_id": "App",
    }
    search_help_text = "User id"
    list_filter = ("type", AppFilter)
    search_fields = ("user_id__exact",)
    ordering = ("-id",)
    page = "transaction"

    @admin.display(description="By")
    def by(self, transaction: Transaction) -> str:
        """Return the actor in words: `operator ada`."""
        return actor(transaction.actor)

    @admin.display(description="What")
    def what(self, transaction: Transaction) -> str:
        """Return the description, or the operation of a transaction without one."""
        return transaction.description or transaction.operation or NOTHING


@admin.register(Reservation)
class Reservations(ReadOnlyList):
    """Reservations."""

    list_display = ("created_at", "user_id", "amount", "status", "reason", "expires_at")
    sorts: ClassVar = {"created_at": "id"}
    titles: ClassVar = {
        "created_at": "Held since",
        "user_id": "Account",
        "amount": "Credits",
        "reason": "For",
        "expires_at": "Until",
    }
    search_help_text = "User id"
    list_filter = ("status",)
    search_fields = ("user_id__exact",)
    ordering = ("-id",)
    page = "reservation"


@admin.register(SyncSubscription)
class Subscriptions(ReadOnlyList):
    """Cloud Sync subscriptions."""

    list_display = ("user_id", "interval", "renews", "paid_until", "paused_at", "gifted_at")
    sorts: ClassVar = {"user_id": "user_id"}
    titles: ClassVar = {
        "user_id": "Account",
        "paid_until": "Paid until",
        "paused_at": "Paused",
        "gifted_at": "Given free",
    }
    search_help_text = "User id"
    search_fields = ("user_id__exact",)
    ordering = ("user_id",)
    rows_name = "Cloud Sync subscriptions"

    def change_view(self, request: HttpRequest, object_id: str, *more: Any, **named: Any) -> Any:
        """Redirect to the page of the user's subscription."""
        return redirect(sync_address(unquote(object_id)))


@admin.register(OutboxMessage)
class Messages(ReadOnlyList):
    """The outbox, the newest message first."""

    list_display = ("subject", "user_id", "status", "attempts", "created_at", "due", "last_error")
    titles: ClassVar = {
        "user_id": "Account",
        "created_at": "Written",
        "last_error": "Last error",
    }
    search_help_text = "User id or message"
    list_filter = ("status",)
    search_fields = ("user_id__exact", "key__exact")
    ordering = ("-id",)
    page = "message"
    rows_name = "messages"

    @admin.display(description="Message")
    def subject(self, message: OutboxMessage) -> str:
        """Return the subject of the mail, or the key of a message without one."""
        return str(message.body.get("subject") or message.key)

    @admin.display(description="Next attempt")
    def due(self, message: OutboxMessage) -> str:
        """Return the time of the next attempt, or a dash if there is none."""
        return on_one_line(message.due_at if message.status == "pending" else None)


@admin.register(Operation)
class Operations(ReadOnlyList):
    """Prices of operations."""

    list_display = ("key", "name", "app", "price", "active", "updated_at")
    sorts: ClassVar = {
        "key": "key", "name": "name", "app": "app", "price": "cost", "updated_at": "updated_at",
    }  # fmt: skip
    titles: ClassVar = {"key": "Operation", "updated_at": "Changed"}
    list_filter = ("active",)
    ordering = ("key",)
    page = "operation"
    change_list_template = "back_office/operations.html"

    @admin.display(description="Price")
    def price(self, operation: Operation) -> str:
        """Return the price in words: for one item, for a started batch, or by units."""
        return price_text(catalogue.price_of(operation))


@admin.register(Package)
class Packages(ReadOnlyList):
    """Packages."""

    list_display = ("name", "credits", "euros", "active", "sort_order")
    sorts: ClassVar = {"name": "name", "credits": "credits", "euros": "price_euro_cents"}
    titles: ClassVar = {"sort_order": "Place"}
    list_filter = ("active",)
    ordering = ("sort_order", "id")
    page = "package"
    change_list_template = "back_office/packages.html"

    @admin.display(description="Price", ordering="price_euro_cents")
    def euros(self, package: Package) -> str:
        """Return the price in euros."""
        return euros(package.price_euro_cents)
