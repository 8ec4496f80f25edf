"""Amounts of credits: exact decimals with 4 places and at most 15 digits."""

from decimal import Decimal
from math import ulp

from credits.errors import DomainError

PLACES = 4
DIGITS = 15
LARGEST = Decimal("99999999999.9999")
STEP = Decimal("0.0001")
NOISE_ULPS = 4  # what a few additions or multiplications of doubles lose


class InvalidAmount(DomainError):
    """The amount is zero, not positive, has more than 4 decimal places or more than 15 digits."""

    code = "invalid_amount"
    field = "amount"
    message = "The amount must be a positive number of credits with at most 4 decimal places"


def exact(amount: Decimal | int) -> Decimal:
    """Return `amount` (credits, either sign, not zero) as a Decimal; raise InvalidAmount.

    Nothing is rounded: 0.00001 is an error, not 0.
    """
    value = Decimal(amount)
    if not value.is_finite() or not value or not -LARGEST <= value <= LARGEST:
        raise InvalidAmount
    if value != value.quantize(STEP):
        raise InvalidAmount
    return value


def positive(amount: Decimal | int) -> Decimal:
    """Return `amount` (credits, more than zero) as a Decimal; raise InvalidAmount."""
    value = exact(amount)
    if value < 0:
        raise InvalidAmount
    return value


def without_noise(amount: Decimal | int) -> Decimal | int:
    """Return the amount of 4 decimals that a client computed with doubles, else `amount` itself.

    3 * 0.2 is 0.6000000000000001 in JavaScript. A fifth decimal is never noise.
    """
    if isinstance(amount, int) or not -LARGEST <= amount <= LARGEST:
        return amount
    nearest = amount.quantize(STEP)
    noise = min(NOISE_ULPS * ulp(float(nearest)), float(STEP / 10))
    return nearest if nearest and abs(float(amount - nearest)) < noise else amount


def plain(amount: Decimal) -> str:
    """Return the one way of writing `amount`, without exponent or trailing zeros: 5, 0.1."""
    return format(amount.normalize(), "f")
