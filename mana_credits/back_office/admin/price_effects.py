"""The effect of a new price: the cost of the last 30 days at that price."""

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Sum

from credits.catalogue import Price
from credits.models import DailyTotal, Operation, Transaction

DAYS = 30


class PriceEffect(NamedTuple):
    """`factor` of the price of one item. `charged` credits in `uses` of the last 30 days."""

    factor: Decimal
    charged: Decimal
    uses: int

    @property
    def charged_then(self) -> Decimal:
        """Return the credits at the new price, assuming equally full batches."""
        return self.charged * self.factor


def of(operation: Operation, new: Price, *, today: date) -> PriceEffect:
    """Return the effect of the new price on the usage of the 30 days before `today`."""
    before = operation.cost / (operation.per_items or 1)
    rows = DailyTotal.objects.filter(
        operation=operation.pk,
        type=Transaction.Type.USAGE,
        date__range=(today - timedelta(days=DAYS), today - timedelta(days=1)),
    )
    sums = rows.aggregate(charged=Sum("credits_out"), uses=Sum("transactions"))
    factor = new.cost / (new.per_items or 1) / before
    return PriceEffect(factor, sums["charged"] or Decimal(0), sums["uses"] or 0)
