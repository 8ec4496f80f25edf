"""Shares of a purchase's credits that refunds and disputes of its price take back."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from django.db.models import Sum
from django.db.models.functions import Now

from credits.models import CreditLot, MoneyBack, Purchase, Transaction

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


def gone(purchase: Purchase, standing: Iterable[MoneyBack]) -> Decimal:
    """Return the purchase's credits that these refunds and disputes took, or that have expired."""
    return sum((one.taken for one in standing), _expiries(purchase))


def expired(purchase: Purchase) -> Decimal:
    """Return the purchase's credits that have expired, also if their expiry is not posted yet."""
    return _expiries(purchase) + about_to_expire(purchase)


def about_to_expire(purchase: Purchase) -> Decimal:
    """Return the purchase's credits that are past their date while their expiry is not posted."""
    lots = CreditLot.objects.filter(
        pk=purchase.transaction_id, user_id=purchase.user_id, expires_at__lte=Now()
    )
    left: Decimal | None = lots.aggregate(left=Sum("remaining"))["left"]
    return left or Decimal(0)


def _expiries(purchase: Purchase) -> Decimal:
    """Return the credits that expiries of the purchase took. A reversed expiry took nothing."""
    # Nearly all purchases: no query is needed.
    if purchase.expires_after_days is None:
        return Decimal(0)
    own = Transaction.objects.filter(user_id=purchase.user_id)
    expiries = own.filter(related_id=purchase.transaction_id, type=Transaction.Type.EXPIRY)
    amounts = dict(expiries.values_list("pk", "amount"))
    reversals = own.filter(related_id__in=list(amounts)).values_list("amount", flat=True)
    # An expiry is negative and its reversal positive, so the sum has only those that still count.
    return -sum([*amounts.values(), *reversals], Decimal(0))
