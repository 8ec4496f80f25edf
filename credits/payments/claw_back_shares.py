"""Shares of a purchase's credits that refunds and disputes of its price take back."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from credits.models import MoneyBack, Purchase

State = MoneyBack.State
SMALLEST = Decimal("0.0001")


def due(purchase: Purchase, standing: Iterable[MoneyBack]) -> Decimal:
    """Return the credits that these refunds and disputes together take."""
    # The cents are added before rounding: rounding each part would lose 0.0001 credits per part.
    return share(purchase, sum(cents_to_take(one) for one in standing), ROUND_DOWN)


def cents_to_take(one: MoneyBack) -> int:
    """Return the withdrawn cents; for money that was fully reinstated, the cents withdrawn before.

    Reinstated money is taken once before it is given back, so that the ledger does not depend on
    the order of the reports. A dispute may withdraw its amount several times, hence the limit.
    """
    return one.standing_cents or min(one.withdrawn_cents, one.amount_cents)


def requested_or_standing(one: MoneyBack) -> int:
    """Return the cents withdrawn, or to be withdrawn by a refund that is only requested."""
    return one.amount_cents if one.state == State.REQUESTED else one.standing_cents


def share(purchase: Purchase, cents: int, rounding: str) -> Decimal:
    """Return the credits that these cents of the price bought."""
    # A dispute and a refund of one payment can together withdraw more than its price. Multiplying
    # before dividing keeps the quotient's rounding error out of the product.
    # The constraint `purchase_price_positive` keeps the divisor above zero.
    price = purchase.price_euro_cents
    whole = purchase.credits * min(cents, price)
    return (whole / price).quantize(SMALLEST, rounding=rounding)
