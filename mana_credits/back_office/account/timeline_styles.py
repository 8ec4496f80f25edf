"""How a timeline renders its entries: icon, link and details."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from django.urls import reverse

from credits.catalogue.metered_prices import explanation
from credits.models import (
    AdjustmentRequest,
    MoneyBack,
    Purchase,
    Reservation,
    StaffAction,
    Transaction,
)
from mana_credits.back_office.account import event_entries
from mana_credits.back_office.account.entry import TimelineEntry
from mana_credits.back_office.templatetags.office import actor, in_credits, reason


class TimelineStyle(NamedTuple):
    """The style of a kind: icon (Material Symbols), URL of a row's page or "", and details."""

    icon: str
    address: Callable[[Any], str] = lambda row: ""
    details: Callable[[Any], Iterator[str]] = lambda row: iter(())


def shown(entry: TimelineEntry, messages: Collection[TimelineEntry] = ()) -> dict[str, Any]:
    """Return the entry's values for the template, with the messages that it folds."""
    style = STYLES[entry.kind]
    return {
        **entry._asdict(),
        "icon": style.icon,
        "address": style.address(entry.row),
        "details": list(style.details(entry.row)),
        "messages": [shown(message) for message in messages],
    }


def change_page(row: Any) -> str:
    """Return the URL of a row's page in the admin."""
    name = f"{row._meta.app_label}_{row._meta.model_name}"  # noqa: SLF001
    return reverse(f"admin:{name}_change", args=(row.pk,))


def _of_transaction(row: Transaction) -> Iterator[str]:
    yield row.app_id
    if row.metering:
        yield f"{row.operation}: {explanation(row.metering)}"
    elif row.operation:
        yield f"{row.quantity} of {row.operation}"
    yield f"by {actor(row.actor)}"


def _of_purchase(row: Purchase) -> Iterator[str]:
    if row.stripe_payment_intent_id:
        yield row.stripe_payment_intent_id
    if row.quarantine_reason:
        yield f"quarantined: {row.quarantine_reason}"


def _of_return(row: MoneyBack) -> Iterator[str]:
    if row.stripe_id:
        yield row.stripe_id
    if row.taken:
        yield f"{in_credits(row.taken)} clawed back"
    if row.reason:
        yield row.reason


def _of_reservation(row: Reservation) -> Iterator[str]:
    yield row.app_id
    yield f"until {row.expires_at:%Y-%m-%d %H:%M}"


def _of_staff(row: StaffAction) -> Iterator[str]:
    for text in (reason(row.reason), row.note, row.ticket):
        if text:
            yield text


def _of_request(row: AdjustmentRequest) -> Iterator[str]:
    yield row.get_reason_display()
    yield row.note
    if row.decided_by:
        yield f"decided by {row.decided_by}"


STYLES: Mapping[str, TimelineStyle] = {
    "transactions": TimelineStyle(
        "receipt_long", lambda row: reverse("admin:transaction", args=(row.pk,)), _of_transaction
    ),
    "purchases": TimelineStyle(
        "shopping_cart", lambda row: reverse("admin:purchase", args=(row.pk,)), _of_purchase
    ),
    "returns": TimelineStyle("undo", details=_of_return),
    "reservations": TimelineStyle(
        "lock_clock", lambda row: reverse("admin:reservation", args=(row.pk,)), _of_reservation
    ),
    "subscription": TimelineStyle("cloud_sync", change_page),
    "requests": TimelineStyle("approval", lambda row: reverse("admin:adjustments"), _of_request),
    "staff": TimelineStyle("badge", change_page, _of_staff),
    "gifts sent": TimelineStyle("redeem", lambda row: reverse("admin:gift", args=(row.pk,))),
    "gifts received": TimelineStyle(
        "redeem", lambda row: reverse("admin:gift", args=(row.gift_code_id,))
    ),
    event_entries.KIND: TimelineStyle(
        "webhook",
        lambda row: reverse("admin:stripe_event", args=(row.pk,)),
        lambda row: iter((row.pk,)),
    ),
}
