"""Demo operators, one of each role, with the same password."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from uuid import NAMESPACE_DNS, uuid5

from django.contrib.auth.models import Group, User

from credits import roles
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.acts.audit import AlreadyDone, Justification, Operator

PASSWORD = "mana-sandbox"
OPERATORS = {
    "sam": roles.SUPPORT,
    "fiona": roles.FINANCE,
    "amir": roles.AUDITOR,
    "ada": roles.ADMINISTRATOR,
}


def seed_staff() -> None:
    """Create the missing demo operators."""
    for name, role in OPERATORS.items():
        user, is_new = User.objects.get_or_create(
            username=name,
            defaults={
                "is_staff": True,
                "email": f"{name}@example.test",
                "first_name": name.title(),
            },
        )
        if is_new:
            user.set_password(PASSWORD)
            user.save()
            user.groups.add(Group.objects.get(name=role))


def seed_desk() -> None:
    """Post one adjustment by support and one adjustment request that awaits approval, once."""
    sam = Operator("sam", lambda permission: True, address="127.0.0.1")
    why = Justification("failed_operation", "The answer did not arrive, see the ticket", "SUP-1041")
    for user_id, amount in (("demo-bob", 5), ("demo-carol", 250)):
        with suppress(AlreadyDone):
            balance_adjustments.adjust(
                sam,
                user_id,
                Decimal(amount),
                why=why,
                key=uuid5(NAMESPACE_DNS, f"{user_id}.sandbox"),
                now=datetime.now(UTC),
            )
