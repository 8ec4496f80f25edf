"""Test data, created through the ledger."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.db import transaction

from credits.catalogue import catalogue
from credits.catalogue.metered_prices import MeteredPrice
from credits.controls import account_settings
from credits.controls.account_settings import NewSettings
from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo, Origin, Posting, Priced
from credits.models import Balance, CreditLot, Package, Reservation, SyncSubscription
from credits.principals import User
from credits.sync import cloud_sync
from credits.sync.cloud_sync import Activation
from gifts import codes
from gifts.codes import NewGift
from gifts.gift_functions import Redeemed
from gifts.models import GiftCode
from tests.owner import as_owner

SYSTEM = Origin("system")


def give(
    user_id: str,
    amount: float | str | Decimal,
    *,
    expires_at: datetime | None = None,
    at: datetime | None = None,
) -> Posting:
    """Grant `amount` credits, which expire at `expires_at` if it is given."""
    return ledger.grant(
        user_id,
        Decimal(str(amount)),
        memo=Memo(description="for the test"),
        origin=SYSTEM._replace(at=at),
        cause=f"grant:{user_id}:{uuid4()}",
        expires_at=expires_at,
    )


def lapse(user_id: str) -> None:
    """Let the user's expiring credits have expired just now, without a wait for the clock."""
    now = datetime.now(UTC)
    with as_owner():
        CreditLot.objects.filter(user_id=user_id, remaining__gt=0).update(expires_at=now)
        Balance.objects.filter(pk=user_id).update(next_expiry=now)


def spend(user_id: str, amount: float | str, *, app_id: str = "chat", at: object = None) -> Posting:
    """Spend `amount` credits."""
    return ledger.spend(
        user_id,
        Decimal(str(amount)),
        memo=Memo(app_id, "a spend"),
        origin=Origin("user", at=at),  # type: ignore[arg-type]
    )


def meter(
    operation: str = "ai_chat_gpt4",
    *,
    minimum: str | None = None,
    may_overdraw: bool = False,
    **unit_costs: str,
) -> None:
    """Set the credits that 1,000 units of an operation cost; by default of two kinds of tokens."""
    costs = unit_costs or {"inputTokens": "0.4", "outputTokens": "1.2"}
    price = MeteredPrice(
        {unit: Decimal(cost) for unit, cost in costs.items()},
        None if minimum is None else Decimal(minimum),
        may_overdraw,
    )
    catalogue.set_price(operation, price, actor="system", now=datetime.now(UTC))


def use_units(user_id: str) -> None:
    """Spend 0.84 credits by units, then commit a hold by units that cost 12 credits."""
    operation, service = "ai_chat_gpt4", Origin("service")
    meter(operation, minimum="0.01")
    used = Priced(operation, None, {"inputTokens": 1200, "outputTokens": 300})
    ledger.spend(user_id, used, memo=Memo("chat", "An answer"), origin=service)
    most = Priced(operation, None, {"inputTokens": 1000})
    held = reservations.reserve(user_id, most, reason="chat", origin=service).reservation
    reservations.commit(held.pk, origin=service, units={"inputTokens": 30_000})


def hold(user_id: str, amount: float | str) -> Reservation:
    """Reserve `amount` credits."""
    return reservations.reserve(
        user_id, Decimal(str(amount)), reason="research:openai", origin=Origin("service")
    ).reservation


def wish(user_id: str, **wanted: Any) -> None:
    """Set the user's low-balance notice and spending limits, in credits; the rest is off."""
    limits = {app: Decimal(str(limit)) for app, limit in wanted.pop("app_limits", {}).items()}
    amounts = {name: Decimal(str(amount)) for name, amount in wanted.items()}
    account_settings.save(
        user_id,
        NewSettings(**amounts, app_limits=limits),
        origin=Origin("user"),
        now=datetime.now(UTC),
    )


def subscribe(user_id: str, *, at: datetime, interval: str = "monthly") -> Activation:
    """Activate Cloud Sync at `now`, paid from the user's credits."""
    return cloud_sync.activate(user_id, interval=interval, origin=Origin("user", at=at), now=at)


def due_subscribers(count: int, *, since: datetime) -> list[str]:
    """Create users with 5 credits each and imported Cloud Sync that is due `since` then."""
    users = [f"syncer-{number:04}" for number in range(count)]
    with transaction.atomic():
        for user_id in users:
            give(user_id, 5)
        SyncSubscription.objects.bulk_create(
            SyncSubscription(
                user_id=user_id,
                renews=True,
                anchor_day=since.day,
                paid_from=since - timedelta(days=28),
                paid_until=since,
                created_at=since,
                updated_at=since,
            )
            for user_id in users
        )
    return users


def gift(creator: str, amount: float | str | Decimal = 10, **options: Any) -> GiftCode:
    """Create a gift of `amount` at the time `at`, valid for `days`."""
    at = options.pop("at", None) or datetime.now(UTC)
    days = options.pop("days", 90)
    new = NewGift(Decimal(str(amount)), at + timedelta(days=days), **options)
    return codes.create(User(creator, name=creator.title()), new, origin=Origin("user"), now=at)


def redeem(gift: GiftCode, user_id: str, email: str | None = None) -> Redeemed:
    """Redeem the gift."""
    return codes.redeem(
        gift.code,
        user=User(user_id, email=email),
        address="192.0.2.1",
        origin=Origin("user"),
        now=datetime.now(UTC),
    )


def package(**fields: Any) -> Package:
    """Create a package: 500 credits for 4.99 EUR, except for `fields`."""
    usual = {"name": "Starter", "credits": Decimal(500), "price_euro_cents": 499, "sort_order": 1}
    return Package.objects.create(**{**usual, **fields})
