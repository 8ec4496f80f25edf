"""Automatic top-ups: a user's agreement, and its state.

A user saves a card at Stripe with a setup intent and then agrees to a package, a threshold and a
monthly maximum. `credits.payments.top_up_charges` buys. The settings are locked after the balance.
"""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from credits import ledger
from credits.errors import DomainError
from credits.ledger import Origin, settings_changes
from credits.models import AutoTopUp, Package, Purchase, SettingsChange, StripeCustomer
from credits.payments import checkout, packages, saved_cards, stripe_api, stripe_fields
from credits.payments.checkout import ReturnPages
from credits.payments.packages import PackageUnknown
from credits.payments.saved_cards import CardFace, CardSetup

LARGEST_MAXIMUM = 31  # automatic purchases per UTC month: about one a day
LISTED = 20
METHOD = "paymentMethod"  # in versions and records, not in answers
PAUSE_REASON = "pauseReason"  # in versions, not in records


class CardNotSaved(DomainError):
    """No card was saved: the setup intent is unknown, unfinished or of another customer."""

    code = "card_not_saved"
    status = 409
    message = "No card was saved; save one first"


class Agreement(NamedTuple):
    """The agreement: buy `package_id` when the posted credits fall to `threshold`.

    `monthly_maximum` is the number of automatic purchases in a UTC month. `setup_id` is the setup
    intent of a newly saved card, or `session_id` the Checkout Session in which it was saved.
    Without both, the saved card is kept.
    """

    package_id: UUID
    threshold: Decimal
    monthly_maximum: int
    setup_id: str | None = None
    session_id: str | None = None


class Card(NamedTuple):
    """A saved card: Stripe's ids of the customer and the payment method, and its face."""

    customer_id: str
    method_id: str
    face: CardFace


def set_up(
    user_id: str, *, pages: ReturnPages | None, email: str | None, now: datetime
) -> CardSetup:
    """Start saving a card by Stripe's library or, with `pages`, in a Checkout Session.

    Raises PageRefused, PaymentUnavailable.
    """
    start = partial(saved_cards.open_checkout, pages=pages) if pages else saved_cards.create_setup
    # Before the customer's row is locked: see `stripe_api.calling`.
    with stripe_api.calling():
        return checkout.for_customer(user_id, start, email=email, now=now)


def of_user(user_id: str) -> AutoTopUp | None:
    """Return the user's automatic top-up, or None if it is off."""
    return AutoTopUp.objects.filter(pk=user_id).select_related("package").first()


def purchases_of(user_id: str) -> QuerySet[Purchase]:
    """Return the user's automatic purchases, newest first."""
    automatic = Purchase.objects.filter(user_id=user_id, stripe_payment_method_id__isnull=False)
    return automatic.order_by("-number")


def version_of(row: AutoTopUp | None) -> str:
    """Return the version of the user's agreement. A client that saves sends what it saw."""
    return settings_changes.version_of(_state(row))


def agree(
    user_id: str,
    wanted: Agreement,
    *,
    origin: Origin,
    now: datetime,
    language: str = "",
    seen: str | None = None,
) -> AutoTopUp:
    """Switch the top-up on, change it, or resume it; the agreement is recorded.

    If the balance is at the threshold or below it, a purchase is due at once. `seen` is the version
    that the client saw, or None. `language` is that of notices: `de`, `en`, or empty if it is
    unknown. Raises CardNotSaved, PackageUnknown, PaymentUnavailable, and SettingsChanged if `seen`
    is not the current version.
    """
    # Stripe is called before the balance is locked, so that spends do not wait for it.
    card = _saved_card(user_id, wanted) if wanted.setup_id or wanted.session_id else None
    with transaction.atomic():
        posted = ledger.ensure_balance(user_id, origin=origin).posted
        known = AutoTopUp.objects.select_for_update().filter(pk=user_id).first()
        row = known or AutoTopUp(user_id=user_id)
        before, current = _terms(known), _state(known)
        if known is None:  # checked before the missing card
            settings_changes.require_version(seen, current, internal=METHOD)
        _set(row, wanted, card)
        had_failures = known is not None and known.failures > 0
        # The user saw the reason of the pause and agreed again, so earlier failures do not count.
        row.failures, row.paused_at, row.pause_reason = 0, None, None
        if _state(row) != current:
            settings_changes.require_version(seen, current, internal=METHOD)
        elif not had_failures:
            return row  # a retry after a lost answer, which must not buy again
        row.language = language
        row.agreed_at = now
        # Otherwise only movements set it, and a balance that is already low may have none.
        row.due_at = now if posted <= row.threshold else None
        row.save()
        _record(user_id, before, _terms(row), origin)
    return row


@transaction.atomic
def switch_off(user_id: str, *, origin: Origin) -> None:
    """Switch the top-up off and record it. A purchase that was charged already is completed."""
    # Locks the balance, because a movement that crosses the threshold writes the agreement under
    # that lock.
    ledger.ensure_balance(user_id, origin=origin)
    known = AutoTopUp.objects.select_for_update().filter(pk=user_id).first()
    if known:
        before = _terms(known)
        known.delete()
        _record(user_id, before, _terms(None), origin)


def _saved_card(user_id: str, wanted: Agreement) -> Card:
    setup_id = wanted.setup_id or saved_cards.setup_of_checkout(wanted.session_id or "")
    setup = saved_cards.setup(setup_id) if setup_id else None
    customer = StripeCustomer.objects.filter(user_id=user_id).first()
    if setup is None or customer is None or setup.get("status") != "succeeded":
        raise CardNotSaved
    owner = stripe_fields.id_in(setup, "customer")
    method = stripe_fields.id_in(setup, "payment_method")
    # The setup intent's id comes from the client. It could name somebody else's card.
    if owner is None or owner != customer.stripe_customer_id or method is None:
        raise CardNotSaved
    return Card(owner, method, saved_cards.face_of(setup))


def _set(row: AutoTopUp, wanted: Agreement, card: Card | None) -> None:
    package: Package | None = packages.offered().filter(pk=wanted.package_id).first()
    if package is None:
        raise PackageUnknown
    if card:
        row.stripe_customer_id, row.stripe_payment_method_id = card.customer_id, card.method_id
        row.card_brand, row.card_last4 = card.face
    elif not row.stripe_payment_method_id:
        raise CardNotSaved
    row.package = package
    # Copied: a later change of the package is not what the user agreed to, and pauses the top-up.
    row.credits = package.credits
    row.price_euro_cents = package.price_euro_cents
    row.expires_after_days = package.expires_after_days
    row.threshold = wanted.threshold
    row.monthly_maximum = wanted.monthly_maximum


def _record(user_id: str, before: dict[str, Any], after: dict[str, Any], origin: Origin) -> None:
    # The mark on the balance tells each movement that it must read the agreement. Movements of all
    # other users skip it.
    ledger.mark_settings(user_id)
    subject = SettingsChange.Subject.AUTO_TOP_UP
    settings_changes.record(user_id, subject, (before, after), origin=origin)


def _state(row: AutoTopUp | None) -> dict[str, Any]:
    """Return the agreement as the API names it, its payment method, and whether it is paused."""
    if row is None:
        return {"on": False}
    return {
        "on": True,
        "packageId": str(row.package_id),
        "credits": row.credits,
        "priceEuroCents": row.price_euro_cents,
        "expiresAfterDays": row.expires_after_days,
        "threshold": row.threshold,
        "monthlyMaximum": row.monthly_maximum,
        METHOD: row.stripe_payment_method_id,
        "cardBrand": row.card_brand,
        "cardLast4": row.card_last4,
        PAUSE_REASON: row.pause_reason,
    }


def _terms(row: AutoTopUp | None) -> dict[str, Any]:
    """Return what the user agreed to, with the price. A pause is not part of it."""
    return {name: value for name, value in _state(row).items() if name != PAUSE_REASON}
