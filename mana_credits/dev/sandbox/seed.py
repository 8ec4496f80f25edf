"""Demo users with credits and a short history, posted through the ledger."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

from django.core.management import call_command

from credits import contacts, ledger
from credits.catalogue import catalogue
from credits.catalogue.metered_prices import MeteredPrice
from credits.ledger import Memo, Origin, Priced, reservations
from credits.models import Balance, Operation, Package
from credits.payments import packages
from credits.payments.packages import Offer
from credits.principals import User
from gifts import campaigns, codes
from gifts.campaigns import CampaignPlan
from gifts.codes import GiftUnknown
from mana_credits.dev.sandbox import demo_desk
from mana_credits.dev.sandbox.identity import PEOPLE

SPENDS = (
    ("5", "chat", "GPT-4 message"),
    ("0.1", "chat", "Ollama message (local model)"),
    ("10", "picture", "Image generation"),
)
METERED = "ai_context_generation"
TOKENS = MeteredPrice(
    {"inputTokens": Decimal("0.05"), "outputTokens": Decimal("0.25")}, minimum=Decimal("0.01")
)


def seed() -> None:
    """Post the demo users' credits once. A repeated call posts nothing."""
    known = [User(user_id, one["email"], one["name"]) for user_id, one in PEOPLE.items()]
    contacts.record(dict.fromkeys(known, datetime.now(UTC)))
    for user_id, welcome in (("demo-alice", 500), ("demo-bob", 100), ("demo-carol", 10)):
        ledger.grant(
            user_id,
            Decimal(welcome),
            memo=Memo(description="Welcome to the sandbox"),
            origin=Origin("system"),
            cause=f"grant:{user_id}:sandbox",
        )
    for index, (amount, app_id, description) in enumerate(SPENDS):
        ledger.spend(
            "demo-alice",
            Decimal(amount),
            memo=Memo(app_id, description),
            origin=Origin("user", key=f"sandbox-{index}"),
        )
    _seed_units()
    reservations.reserve(
        "demo-bob",
        Decimal(25),
        reason="questions:deep-research",
        origin=Origin("service:sandbox", key="sandbox-reservation"),
    )


def _seed_units() -> None:
    """Price an operation by tokens, and let a user use some."""
    if not Operation.objects.filter(pk=METERED, metering__isnull=False).exists():
        catalogue.set_price(METERED, TOKENS, actor="system", now=datetime.now(UTC))
    ledger.spend(
        "demo-bob",
        Priced(METERED, None, {"inputTokens": 12_000, "outputTokens": 900}),
        memo=Memo("context", "Summary of a long document"),
        origin=Origin("user", key="sandbox-units"),
    )


PACKAGES = (
    (Offer("Starter", Decimal(500), 499, "A month of chat"), "Einstieg", "Ein Monat Chat"),
    (Offer("Plus", Decimal(1_200), 999), None, None),
    (Offer("Studio", Decimal(5_000), 3_499, "For those who make pictures"), None, "Für Bilder"),
)


def seed_packages() -> Package:
    """Create the missing sandbox packages. Return the first package."""
    for order, (english, name_de, description_de) in enumerate(PACKAGES, start=1):
        if not Package.objects.filter(name=english.name).exists():
            offer = english._replace(
                sort_order=order, name_de=name_de, description_de=description_de
            )
            packages.create(offer, actor="system", now=datetime.now(UTC))
    return Package.objects.get(name=PACKAGES[0][0].name)


def seed_community() -> bool:
    """Create a small community with a year of history, so that every page shows data.

    Return whether it was created: a second call does nothing.
    """
    if Balance.objects.filter(pk__startswith="demo-1-").exists():
        return False
    call_command("generate_demo_data", users=60, transactions=1_500, anyway=True, stdout=StringIO())
    _seed_campaign()
    demo_desk.seed_back_office(now=datetime.now(UTC))
    call_command("sum_days", all=True, stdout=StringIO())
    return True


def _seed_campaign() -> None:
    """Create a campaign, redeem nine of its codes and try one invalid code."""
    now = datetime.now(UTC)
    plan = CampaignPlan(
        25,
        Decimal(10),
        now + timedelta(days=60),
        actor="operator:fiona",
        reason="The app's birthday",
    )
    campaign = campaigns.start("Birthday", plan, now=now)
    list(campaigns.make_codes(campaign, now=now))
    users = Balance.objects.filter(pk__startswith="demo-1-").values_list("pk", flat=True)
    for gift, user_id in zip(campaigns.codes_of(campaign), users[:9], strict=False):
        _redeem(gift.code, user_id, now)
    with suppress(GiftUnknown):
        _redeem("ABCDEFGHJKLM", users[9], now)


def _redeem(code: str, user_id: str, now: datetime) -> None:
    origin = Origin("user")
    codes.redeem(code, user=User(user_id), address="203.0.113.7", origin=origin, now=now)
