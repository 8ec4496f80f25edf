"""Matches of a complete user id, row id, Stripe id, e-mail address or gift code."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from credits.email_addresses import mailbox
from credits.models import (
    ActRequest,
    AdjustmentRequest,
    Balance,
    CampaignGrant,
    Contact,
    MoneyBack,
    Purchase,
    Reservation,
    SettingsChange,
    StaffAction,
    StripeCustomer,
    Transaction,
)
from gifts import code_format
from gifts.models import GiftCode, GiftRedemption
from mana_credits.back_office.account.matches import Matches
from mana_credits.service_events.models import EventMessage
from webhooks.models import StripeEvent

PURCHASE_COLUMNS = {"pi_": "stripe_payment_intent_id", "cs_": "stripe_checkout_session_id"}
MONEY_BACK_PREFIXES = ("re_", "pyr_", "dp_", "du_")

# The tables whose rows belong to one account, and the name of a row.
ROWS: dict[Any, str] = {
    Transaction: "Transaction",
    Purchase: "Purchase",
    Reservation: "Reservation",
    SettingsChange: "Change of settings",
    StaffAction: "Act of staff",
    AdjustmentRequest: "Adjustment",
    ActRequest: "Request for approval",
    EventMessage: "Message to a service",
}


def of(text: str) -> Iterator[Matches]:
    """Yield the matches of `text` in each table."""
    yield from _users(text)
    if row_id := as_uuid(text):
        yield from _rows(row_id)
    if "@" in text:
        yield from _addresses(mailbox(text))
    if code := code_format.read(text):
        yield from _gifts(GiftCode.objects.filter(code=code))
    yield from at_stripe(text)


def as_uuid(text: str) -> UUID | None:
    """Return `text` as a UUID, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _users(text: str) -> Iterator[Matches]:
    for model in (Balance, Contact, StripeCustomer):
        # Ids of mana-auth are in lower case, and tickets may have them in capitals.
        rows: Any = model.objects.filter(user_id__in={text, text.lower()})
        yield Matches(rows, lambda row: "User id")


def _rows(row_id: UUID) -> Iterator[Matches]:
    for model, name in ROWS.items():
        # An act or a message may concern no account; a search finds only accounts.
        rows: Any = model.objects.filter(pk=row_id, user_id__isnull=False)
        yield Matches(rows, partial(_named, name))
    payments = MoneyBack.objects.filter(pk=row_id).values("stripe_payment_intent_id")
    refunded = Purchase.objects.filter(stripe_payment_intent_id__in=payments)
    yield Matches(refunded, lambda row: f"Purchase {row.number} with the refund {row_id}")
    redemption = GiftRedemption.objects.filter(pk=row_id).values("gift_code")
    yield from _gifts(GiftCode.objects.filter(Q(pk=row_id) | Q(pk__in=redemption)))
    grants = CampaignGrant.objects.filter(campaign=row_id, user_id__isnull=False)
    yield Matches(grants.select_related("campaign"), lambda row: f"Grant of {row.campaign.name}")


def _named(name: str, row: Model) -> str:
    return f"{name} {row.pk}"


def _addresses(email: str) -> Iterator[Matches]:
    yield Matches(
        Contact.objects.filter(email=email).exclude(email=""),
        lambda row: f"E-mail address {row.email}",
    )
    yield Matches(
        StripeCustomer.objects.filter(email=email),
        lambda row: f"Stripe customer with the address {row.email}",
    )
    gifts = GiftCode.objects.filter(target_email=email)
    yield Matches(gifts, lambda row: f"Created a gift for {row.target_email}", "creator_id")
    yield Matches(
        GiftRedemption.objects.filter(gift_code__in=gifts).select_related("gift_code"),
        lambda row: f"Redeemed a gift for {row.gift_code.target_email}",
        "redeemer_id",
    )


def _gifts(gifts: QuerySet[GiftCode]) -> Iterator[Matches]:
    redemptions = GiftRedemption.objects.filter(gift_code__in=gifts)
    yield Matches(gifts, lambda row: "Created this gift", "creator_id")
    yield Matches(redemptions, lambda row: "Redeemed this gift", "redeemer_id")


def at_stripe(text: str, lookup: str = "exact") -> Iterator[Matches]:
    """Yield the matches of an id of Stripe; the lookup `iexact` ignores case, without an index."""
    # The prefix decides which column is searched, so that an id costs one look-up by an index.
    lower = text.lower()
    if lower.startswith("cus_"):
        customers = StripeCustomer.objects.filter(**{f"stripe_customer_id__{lookup}": text})
        yield Matches(customers, lambda row: f"Stripe customer {row.stripe_customer_id}")
    for prefix, column in PURCHASE_COLUMNS.items():
        if lower.startswith(prefix):
            purchases = Purchase.objects.filter(**{f"{column}__{lookup}": text})
            yield Matches(purchases, lambda row: f"Purchase {row.number} with {text}")
    if lower.startswith(MONEY_BACK_PREFIXES):
        found = MoneyBack.objects.filter(**{f"stripe_id__{lookup}": text})
        payments = found.values("stripe_payment_intent_id")
        purchases = Purchase.objects.filter(stripe_payment_intent_id__in=payments)
        yield Matches(purchases, lambda row: f"Purchase {row.number} with {text}")
    if lower.startswith("evt_"):
        events = StripeEvent.objects.filter(**{f"pk__{lookup}": text}).values("purchase")
        purchases = Purchase.objects.filter(pk__in=events)
        yield Matches(purchases, lambda row: f"Purchase {row.number} with the event {text}")
