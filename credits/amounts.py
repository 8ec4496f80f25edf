"""Amounts of credits: exact decimals with 4 places and at most 15 digits."""

from decimal import Decimal

from credits.errors import DomainError

PLACES = 4
DIGITS = 15
LARGEST = Decimal("99999999999.9999")


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
    if value != value.quantize(Decimal("0.0001")):
        raise InvalidAmount
    return value


def positive(amount: Decimal | int) -> Decimal:
    """Return `amount` (credits, more than zero) as a Decimal; raise InvalidAmount."""
    value = exact(amount)
    if value < 0:
        raise InvalidAmount
    return value


def plain(amount: Decimal) -> str:
    """Return the one way of writing `amount`, without exponent or trailing zeros: 5, 0.1."""
    return format(amount.normalize(), "f")
