"""Rows for every list of the back office, made by the operators' acts and the services' calls.

The demo community has balances, purchases, gifts, reservations and Cloud Sync. This adds what only
operators, other services and the passing of time bring.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import transaction

from credits import ledger
from credits.catalogue.catalogue import NewOperation, Price
from credits.controls import account_settings
from credits.controls.account_settings import NewSettings
from credits.ledger import Memo, Origin, Priced, credit_expiry, grant_files, reservations
from credits.models import Balance
from credits.outbox import outbox
from credits.payments.packages import Offer
from internal_api.service_keys import KeyTerms
from mana_credits.back_office.acts import (
    event_subscription_changes,
    gift_interventions,
    grant_requests,
    new_operations,
    package_changes,
    price_changes,
    service_key_changes,
)
from mana_credits.back_office.acts.audit import Justification, Operator
from mana_credits.back_office.acts.grant_requests import WantedGrants
from mana_credits.dev.sandbox import demo_events, receivers
from mana_credits.service_events import deliveries, event_types

KEYS = UUID("3f1a6c52-5d0b-4f5e-9c1e-1d5e6a7b8c90")
METERED = "ai_context_generation"
DAY = timedelta(days=1)
ADA, FIONA = (
    Operator(name, lambda permission: True, address="127.0.0.1") for name in ("ada", "fiona")
)
EVENTS_OF_CHAT = (event_types.CREDITS_ADDED, event_types.BALANCE_LOW, event_types.GIFT_REDEEMED)


def seed_back_office(*, now: datetime) -> None:
    """Add the rows once; the caller has checked that they do not exist."""
    community = Balance.objects.filter(pk__startswith="demo-1-", posted__gt=50)
    users = list(community.order_by("pk")[:6])
    ids = [user.pk for user in users]
    _seed_service_keys(now)
    _seed_event_subscriptions(now)
    _seed_parked_event(now)
    _seed_expiring(ids[0], ids[1], now)
    _seed_units(ids[2], now)
    _seed_limits(ids[2], now)
    _seed_catalogue(now)
    _seed_grants(ids, now)
    gift_interventions.block(ADA, ids[5], **_how("Tried codes by a script", now))
    demo_events.seed_stripe_events(now=now)
    _seed_dead_message(ids[4], now)
    # The database's triggers have made the messages due after `now`.
    list(deliveries.deliver_due(now=datetime.now(UTC)))


def _how(note: str, now: datetime) -> dict[str, Any]:
    # The key follows from the note, so that a repeated seed repeats no act.
    return {"why": Justification(note=note), "key": uuid5(KEYS, note), "now": now}


def _seed_service_keys(now: datetime) -> None:
    chat = KeyTerms(("balance:read", "use", "refund"), daily_refunds=Decimal(500))
    limited = KeyTerms(("grant",), daily_grants=Decimal(1000), expires_at=now + 60 * DAY)
    old, _ = service_key_changes.create(
        ADA, "chat", chat, **_how("The chat service", now - 90 * DAY)
    )
    service_key_changes.create(
        ADA, "campaigns", limited, **_how("Grants of the spring campaign", now)
    )
    retired, _ = service_key_changes.create(
        ADA, "questions", chat, **_how("Before the rewrite", now - 200 * DAY)
    )
    service_key_changes.rotate(ADA, old.pk, overlap=DAY, **_how("Rotated every quarter", now))
    service_key_changes.revoke(ADA, retired.pk, **_how("The service has a new key", now - 30 * DAY))


def _seed_event_subscriptions(now: datetime) -> None:
    url = f"http://{settings.EVENT_HOSTS[0]}{receivers.EVENTS}"
    for service, events in (("chat", EVENTS_OF_CHAT), ("statistics", event_types.ALL)):
        made, _ = event_subscription_changes.create(
            ADA, (service, url, events), **_how(f"Asked for by the team of {service}", now)
        )
    # The last of the two, so that the list shows a paused one as well.
    event_subscription_changes.pause(ADA, made.pk, **_how("Their database is being moved", now))


def _seed_parked_event(now: datetime) -> None:
    """Tell a service of credits of a user that it refuses, until the message is parked."""
    ledger.grant(
        receivers.UNKNOWN_USER,
        Decimal(5),
        memo=Memo(description="Thank you for your patience"),
        origin=Origin("operator:fiona"),
        cause=ledger.grant_cause(receivers.UNKNOWN_USER, "sandbox-parked"),
    )
    for attempt_at in (now - deliveries.RETRIED_FOR, now):
        list(deliveries.deliver_due(now=attempt_at))


def _seed_expiring(user_id: str, other_id: str, now: datetime) -> None:
    """Grant credits that expire soon, and some that have expired."""
    for owner, days in ((user_id, 5), (user_id, 40), (other_id, -10)):
        at = min(now, now + (days - 30) * DAY)
        ledger.grant(
            owner,
            Decimal(20),
            memo=Memo(description="Welcome back"),
            origin=Origin("service:campaigns", at=at),
            cause=ledger.grant_cause(owner, f"sandbox-{days}"),
            expires_at=now + days * DAY,
        )
    list(credit_expiry.expire_due(now=now, limit=10))


def _seed_units(user_id: str, now: datetime) -> None:
    """Use and hold credits for an operation that is priced by units."""
    units = {"inputTokens": 48_000, "outputTokens": 6_500}
    ledger.grant(
        user_id,
        Decimal(50),
        memo=Memo(description="Credits to try long documents"),
        origin=Origin("operator:fiona"),
        cause=ledger.grant_cause(user_id, "sandbox-units"),
    )
    ledger.spend(
        user_id,
        Priced(METERED, None, units),
        memo=Memo("context", "Summary of a book"),
        origin=Origin("service:context"),
    )
    reservations.reserve(
        user_id,
        Priced(METERED, None, units),
        reason="context:summary",
        origin=Origin("service:context", at=now),
    )


def _seed_limits(user_id: str, now: datetime) -> None:
    """Set a low-balance notice and limits of spending, one of which is nearly reached."""
    wanted = NewSettings(
        low_balance=Decimal(100), monthly_limit=Decimal(200), app_limits={"context": Decimal(5)}
    )
    account_settings.save(user_id, wanted, origin=Origin("user"), now=now)


def _seed_catalogue(now: datetime) -> None:
    """Request a new operation and a far price, and retire a package whose credits expire."""
    music = NewOperation("ai_music", "Music", "ai", "music", "A song of up to a minute")
    new_operations.request_operation(
        FIONA, music, Price(Decimal(15)), **_how("The music app starts in June", now)
    )
    price_changes.set_price(
        FIONA, "ai_research_deep", Price(Decimal(60)), **_how("A dearer model", now)
    )
    summer = Offer("Summer", Decimal(300), 249, "For three months", expires_after_days=90)
    made = package_changes.save_package(FIONA, None, summer, **_how("Summer sale", now - 60 * DAY))
    package_changes.put_on_offer(FIONA, made.pk, False, **_how("The summer is over", now))


def _seed_grants(user_ids: list[str], now: datetime) -> None:
    lines = "".join(f"{user_id},2.5\n" for user_id in user_ids[:4])
    file = grant_files.parse(f"user_id,credits\n{lines}".encode(), "beta.csv")
    wanted = WantedGrants("Beta testers", "Thank you for testing", file)
    campaign = grant_requests.ask(ADA, wanted, **_how("As agreed in May", now))
    grant_requests.begin(campaign, now=now)


def _seed_dead_message(user_id: str, now: datetime) -> None:
    """Enqueue a mail to an address that refuses it, and try until it is given up."""
    began = now - 3 * DAY
    mail = {
        "channel": "email",
        "recipient": f"old-address{receivers.REFUSED}",
        "subject": "Your credits are low",
        "body": "You have 3 credits left.",
    }
    with transaction.atomic():
        outbox.tell(user_id, mail, key=f"sandbox:{user_id}", now=began)
    for attempt in range(outbox.ATTEMPTS):
        list(outbox.deliver_due(now=began + attempt * outbox.LONGEST_PAUSE))
