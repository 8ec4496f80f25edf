"""Demo users with credits and a little history, made through the ledger."""

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

from django.core.management import call_command

from credits import ledger, packages, reservations
from credits.models import Balance, Package
from credits.packages import Offer
from credits.posting import Memo, Origin

SPENDS = (
    ("5", "chat", "GPT-4 message"),
    ("0.1", "chat", "Ollama message (local model)"),
    ("10", "picture", "Image generation"),
)


def seed() -> None:
    """Give the demo users their credits; what is there already stays as it is."""
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
    reservations.reserve(
        "demo-bob",
        Decimal(25),
        reason="questions:deep-research",
        origin=Origin("service:sandbox", key="sandbox-reservation"),
    )


PACKAGES = (
    ("Starter", 500, 499, "A month of chat"),
    ("Plus", 1_200, 999, None),
    ("Studio", 5_000, 3_499, "For those who make pictures"),
)


def seed_packages() -> Package:
    """Offer the sandbox's packages, where they are not there already; return the first one."""
    for order, (name, amount, cents, description) in enumerate(PACKAGES, start=1):
        if not Package.objects.filter(name=name).exists():
            offer = Offer(name, Decimal(amount), cents, description, sort_order=order)
            packages.create(offer, actor="system", now=datetime.now(UTC))
    return Package.objects.get(name=PACKAGES[0][0])


def seed_community() -> bool:
    """Make a year of a small community's history, so that every page has something to show.

    Returns whether it was made; it is made once.
    """
    if Balance.objects.filter(pk__startswith="demo-1-").exists():
        return False
    call_command("generate_demo_data", users=60, transactions=1_500, anyway=True, stdout=StringIO())
    call_command("sum_days", all=True, stdout=StringIO())
    return True
