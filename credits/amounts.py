"""Amounts: credits as exact decimals with 4 places and at most 15 digits, and their texts."""

import re
from decimal import Decimal
from math import ulp

from credits.errors import DomainError

PLACES = 4
DIGITS = 15
LARGEST = Decimal("99999999999.9999")
STEP = Decimal("0.0001")
MINUS = "\N{MINUS SIGN}"
NOISE_ULPS = 4  # the rounding error of a few additions or multiplications of doubles

_WRITTEN = re.compile(r"[0-9]+(\.[0-9]{1,4})?")
# `1.000` may be a thousands separator, and a person rarely writes a trailing zero as in `1.250`.
_DOUBTFUL = re.compile(r"[0-9]+\.000|[1-9][0-9]{0,2}\.[0-9]{2}0")


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
    # After the comparison with LARGEST: `quantize` raises another error for a number with too many
    # digits.
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
    """Return `amount` without the rounding error that double arithmetic left.

    A JavaScript client computes 3 * 0.2 as 0.6000000000000001. Any other amount is returned as it
    is: a real fifth decimal place is not a rounding error, and `exact` rejects it.
    """
    if isinstance(amount, int) or not -LARGEST <= amount <= LARGEST:
        return amount
    nearest = amount.quantize(STEP)
    # At most a tenth of a step: for very large amounts, a few ulps would include a fifth decimal
    # place that the client meant.
    noise = min(NOISE_ULPS * ulp(float(nearest)), float(STEP / 10))
    return nearest if nearest and abs(float(amount - nearest)) < noise else amount


def plain(amount: Decimal) -> str:
    """Return the canonical text of `amount`, without exponent or trailing zeros: 5, 0.1."""
    return format(amount.normalize(), "f")


def with_unit(amount: Decimal, *, language: str = "en") -> str:
    """Return the text of `amount` with its unit: 1 credit, or 5 Credits in German (`de`)."""
    unit = "Credit" if language == "de" else "credit"
    return f"{plain(amount)} {unit}{'' if amount == 1 else 's'}"


def noun(count: Decimal | int, singular: str, plural: str | None = None) -> str:
    """Return the noun for `count` things; the plural ends with an s unless it is given."""
    return singular if count == 1 else plural or f"{singular}s"


def counted(count: Decimal | int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun, in English: `1 day`, `1,234.5 credits`."""
    return f"{Decimal(count).normalize():,f} {noun(count, singular, plural)}"


def euros(cents: int) -> str:
    """Return cents as euros, in English: `€4.99`."""
    return f"{MINUS if cents < 0 else ''}€{abs(cents) / 100:,.2f}"


def read(text: str) -> Decimal:
    """Parse the positive amount that a person wrote, such as `5` or `0.1`.

    Raises ValueError with a message for that person. The check is stricter than Decimal's, which
    also accepts `1_000`, `1E+3` and the digits of other scripts. `1.000` is rejected as ambiguous
    because it may mean a thousand.
    """
    if not _WRITTEN.fullmatch(text):
        raise ValueError(f"{text!r} is not an amount of credits: write 5 or 0.1")
    if _DOUBTFUL.fullmatch(text):
        thousands, one = text.replace(".", ""), plain(Decimal(text))
        raise ValueError(f"{text!r} is ambiguous: write {one} or {thousands}")
    try:
        return positive(Decimal(text))
    except InvalidAmount as error:
        raise ValueError(f"{text!r} is not an amount of credits: {error.text}") from error
