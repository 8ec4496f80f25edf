"""Data for tests, made through the ledger as everything is."""

from decimal import Decimal
from uuid import uuid4

from credits import ledger, reservations
from credits.ledger import Memo, Origin, Posting
from credits.models import Reservation

SYSTEM = Origin("system")


def give(user_id: str, amount: float | str | Decimal) -> Posting:
    """Grant `amount` credits."""
    return ledger.grant(
        user_id,
        Decimal(str(amount)),
        memo=Memo(description="for the test"),
        origin=SYSTEM,
        cause=f"grant:{user_id}:{uuid4()}",
    )


def spend(user_id: str, amount: float | str, *, app_id: str = "chat", at: object = None) -> Posting:
    """Spend `amount` credits."""
    return ledger.spend(
        user_id,
        Decimal(str(amount)),
        memo=Memo(app_id, "a spend"),
        origin=Origin("user", at=at),  # type: ignore[arg-type]
    )


def hold(user_id: str, amount: float | str) -> Reservation:
    """Reserve `amount` credits."""
    return reservations.reserve(
        user_id, Decimal(str(amount)), reason="research:openai", origin=Origin("service")
    ).reservation
