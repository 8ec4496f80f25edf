"""The effect of a new price: the cost of the last 30 days at that price."""

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Sum

from credits.catalogue import catalogue
from credits.catalogue.catalogue import AnyPrice
from credits.models import DailyTotal, Operation, Transaction

DAYS = 30


class PriceEffect(NamedTuple):
    """`charged` credits in `uses` of the last 30 days, and the factors of the new price.

    The lowest and the highest factor differ if some units change more than others. They are None
    if the prices cannot be compared, because the old one is not by the same units.
    """

    charged: Decimal
    uses: int
    lowest: Decimal | None
    highest: Decimal | None

    @property
    def charged_then(self) -> tuple[Decimal, Decimal] | None:
        """Return the least and the most credits at the new price, assuming the same use."""
        if self.lowest is None or self.highest is None:
            return None
        return self.charged * self.lowest, self.charged * self.highest


def of(operation: Operation, new: AnyPrice, *, today: date) -> PriceEffect:
    """Return the effect of the new price on the usage of the 30 days before `today`."""
    rows = DailyTotal.objects.filter(
        operation=operation.pk,
        type=Transaction.Type.USAGE,
        # Without today, whose sums may lack the last minutes.
        date__range=(today - timedelta(days=DAYS), today - timedelta(days=1)),
    )
    sums = rows.aggregate(charged=Sum("credits_out"), uses=Sum("transactions"))
    # The totals have no numbers of units. So only the range of the factors can be computed, not the
    # exact cost at the new price.
    factors = _factors(catalogue.price_of(operation), new)
    lowest, highest = (min(factors), max(factors)) if factors else (None, None)
    return PriceEffect(sums["charged"] or Decimal(0), sums["uses"] or 0, lowest, highest)


def _factors(old: AnyPrice, new: AnyPrice) -> list[Decimal]:
    """Return the factor of each part of the new price, or an empty list if a part is new."""
    before, after = catalogue.parts(old), catalogue.parts(new)
    if not after.keys() <= before.keys():
        return []
    return [cost / before[part] for part, cost in after.items()]
