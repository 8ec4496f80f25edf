"""Partial matches: parts of an address, name or ticket, a user id's beginning, a code's end.

The name of a campaign and an id of Stripe must match as a whole, in any case.

Parts of addresses and names are searched in all rows. At a million contacts that takes part of a
second, and needs neither an extension of PostgreSQL nor an index that every new token would update.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.db.models.functions import Right

from credits.models import (
    ActRequest,
    AdjustmentRequest,
    Balance,
    CampaignGrant,
    Contact,
    Purchase,
    StaffAction,
    StripeCustomer,
)
from gifts import code_format
from gifts.models import Campaign, GiftCode, GiftRedemption
from mana_credits.back_office.account import exact_matches
from mana_credits.back_office.account.matches import Matches

CODE_END = re.compile(rf"•*([{code_format.ALPHABET}]{{4}})")
PURCHASE_NUMBER = re.compile(r"(?:purchase )?(?:#|no\. ?)?([0-9]{1,18})", re.IGNORECASE | re.ASCII)
BEFORE_A_TICKET = "/=#-"


def of(text: str) -> Iterator[Matches]:
    """Yield the matches of `text` in each table."""
    yield from _parts(text)
    yield from _tickets(text)
    yield from _campaigns(text)
    yield from exact_matches.at_stripe(text, "iexact")
    if end := CODE_END.fullmatch(text.upper()):
        yield from _gifts(end[1])
    if number := PURCHASE_NUMBER.fullmatch(text):
        purchases = Purchase.objects.filter(number=int(number[1]))
        yield Matches(purchases, lambda row: f"Purchase {row.number}")


def _parts(text: str) -> Iterator[Matches]:
    lower = text.lower()
    # Ids of mana-auth are in lower case, as in `exact_matches`.
    begins = Q(pk__startswith=text) | Q(pk__startswith=lower)
    balances = Balance.objects.filter(begins)
    yield Matches(balances, lambda row: "User id with this prefix")
    named = Contact.objects.filter(Q(name__icontains=text))
    yield Matches(named, lambda row: f"Name {row.name}")
    known = Contact.objects.filter(Q(email__contains=lower) | begins)
    yield Matches(known, lambda row: f"E-mail address {row.email}")
    customers = StripeCustomer.objects.filter(email__contains=lower)
    yield Matches(customers, lambda row: f"Stripe customer with the address {row.email}")
    gifts = GiftCode.objects.filter(target_email__contains=lower)
    yield Matches(gifts, lambda row: f"Created a gift for {row.target_email}", "creator_id")


def _tickets(text: str) -> Iterator[Matches]:
    ends = Q(ticket__iexact=text)
    # A whole number after a separator: "12" must not find the ticket 4712.
    for separator in BEFORE_A_TICKET:
        ends |= Q(ticket__iendswith=separator + text)
    for model in (StaffAction, AdjustmentRequest, ActRequest):
        rows: Any = model.objects.filter(ends, user_id__isnull=False)
        yield Matches(rows.exclude(ticket=""), lambda row: f"Ticket {row.ticket}")


def _campaigns(name: str) -> Iterator[Matches]:
    paid = Campaign.objects.filter(pk__iexact=name)
    yield Matches(paid, lambda row: f"Pays the campaign {row.name}", "account_id")
    grants = CampaignGrant.objects.filter(campaign__name__iexact=name, user_id__isnull=False)
    yield Matches(grants.select_related("campaign"), lambda row: f"Grant of {row.campaign.name}")


def _gifts(end: str) -> Iterator[Matches]:
    # The same expression as in the index of the ends of codes.
    gifts = GiftCode.objects.alias(end=Right("code", 4)).filter(end=end)
    redemptions = GiftRedemption.objects.filter(gift_code__in=gifts).select_related("gift_code")
    yield Matches(
        gifts, lambda row: f"Created the gift {code_format.masked(row.code)}", "creator_id"
    )
    yield Matches(
        redemptions,
        lambda row: f"Redeemed the gift {code_format.masked(row.gift_code.code)}",
        "redeemer_id",
    )
