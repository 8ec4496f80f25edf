"""The catalogue: which operations cost credits, and how much.

A cost is in credits, for one operation or for each started batch of `per_items` items. A metered
operation is priced by units instead (`credits.catalogue.metered_prices`). The database function
`credits.price` (`credits/ledger/sql/price.sql`), which prices a spend, has the same rule.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from credits.amounts import STEP, positive
from credits.catalogue.metered_prices import (
    InvalidUnitCosts,
    MeteredPrice,
    OperationNotMetered,
    UnitsRequired,
    UnknownUnit,
    as_json,
    from_json,
)
from credits.errors import DomainError
from credits.models import Operation, OperationPrice

LARGEST_QUANTITY = 1_000_000
# This service charges these itself, by the month.
SOLD_BY_QUANTITY = frozenset({"cloud_sync"})
# `\Z` and not `$`, which also matches before a line break at the end.
KEY = re.compile(r"\A[a-z][a-z0-9_]{0,63}\Z")
KEY_RULE = "A key has 1 to 64 lower-case letters, digits and underscores, and begins with a letter"


class OperationUnknown(DomainError):
    """The operation is not in the catalogue or is no longer offered."""

    code = "unknown_operation"
    field = "operation"
    message = "The catalogue does not offer this operation"


# The errors whose codes the database function `credits.price` returns.
PRICE_REFUSALS = (OperationUnknown, UnitsRequired, OperationNotMetered, UnknownUnit)


class InvalidBatch(DomainError):
    """A batch has 1 to 1,000,000 items."""

    code = "invalid_batch"
    message = "A batch has 1 to 1,000,000 items"


class InvalidOperation(DomainError):
    """The key, a text, the category or the app of a new operation is invalid."""

    code = "invalid_operation"
    message = "A value of the operation is invalid"


class OperationExists(DomainError):
    """The catalogue has an operation with this key, maybe a withdrawn one."""

    code = "operation_exists"
    status = 409
    message = "An operation with this key exists"


class NewOperation(NamedTuple):
    """The values of a new operation, without its price. `name_de` is the German name, or None."""

    key: str
    name: str
    category: str
    app: str
    description: str = ""
    name_de: str | None = None


class Price(NamedTuple):
    """The price of an operation: `cost` credits, or that for each started batch of `per_items`."""

    cost: Decimal
    per_items: int | None = None


AnyPrice = Price | MeteredPrice


class Pricing(NamedTuple):
    """The operations on offer, and the time of the last change (None: an empty catalogue)."""

    operations: list[Operation]
    updated_at: datetime | None


def on_offer() -> QuerySet[Operation]:
    """Return the operations on offer, ordered by key."""
    return Operation.objects.filter(active=True).order_by("key")


def price(operation: str, quantity: int = 1) -> Decimal:
    """Return the current price of `quantity` operations, in credits.

    Raises OperationUnknown, UnitsRequired.
    """
    found = on_offer().filter(pk=operation).first()
    if found is None:
        raise OperationUnknown
    if found.metering is not None:
        raise UnitsRequired
    batches = -(-quantity // (found.per_items or 1))  # rounded up: a started batch counts fully
    return found.cost * batches


def pricing() -> Pricing:
    """Return the prices on offer. Withdrawing an operation counts as a change of the catalogue."""
    operations = list(Operation.objects.order_by("key"))
    updated_at = max((operation.updated_at for operation in operations), default=None)
    return Pricing([operation for operation in operations if operation.active], updated_at)


@transaction.atomic
def create_operation(new: NewOperation, first: AnyPrice, *, actor: str, now: datetime) -> Operation:
    """Add an operation with its first price to the catalogue, and record the price.

    Raises InvalidOperation, OperationExists, InvalidAmount, InvalidBatch, InvalidUnitCosts.
    """
    require_valid_operation(new)
    require_valid(new.key, first)
    # Created as withdrawn; `_change` then offers it and writes the history as for any price.
    columns = {**new._asdict(), **_columns(first), "active": False, "version": 0}
    try:
        # A savepoint, because the failed INSERT would abort the caller's transaction.
        with transaction.atomic():
            created = Operation.objects.create(**columns, created_at=now, updated_at=now)
    except IntegrityError as error:
        raise OperationExists from error
    return _change(created, first, actor, now)


def require_valid_operation(new: NewOperation) -> None:
    """Raise InvalidOperation or OperationExists unless the catalogue may have this operation."""
    if not KEY.match(new.key):
        raise InvalidOperation(KEY_RULE)
    priced = {"cost", "per_items", "metering", "version", "active", "created_at", "updated_at"}
    try:
        Operation(**new._asdict()).clean_fields(exclude=priced)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidOperation(f"{field}: {messages[0]}") from error
    # For the form's error before the preview. The primary key decides in the end.
    if Operation.objects.filter(pk=new.key).exists():
        raise OperationExists


@transaction.atomic
def set_price(operation: str, new: AnyPrice, *, actor: str, now: datetime) -> Operation:
    """Set the price of an operation and record the change; a withdrawn operation is offered again.

    Setting the current price again changes nothing. Raises OperationUnknown, InvalidAmount,
    InvalidBatch, InvalidUnitCosts.
    """
    require_valid(operation, new)
    return _change(_locked(operation), new, actor, now)


def require_valid(operation: str, price: AnyPrice) -> None:
    """Raise InvalidAmount, InvalidBatch, InvalidUnitCosts unless the operation may cost this."""
    if isinstance(price, MeteredPrice):
        as_json(price)
        if operation in SOLD_BY_QUANTITY:
            raise InvalidUnitCosts(
                f"{operation} is charged by the month and cannot be priced by units"
            )
        return
    positive(price.cost)
    if price.per_items is not None and not 1 <= price.per_items <= LARGEST_QUANTITY:
        raise InvalidBatch


def price_of(operation: Operation) -> AnyPrice:
    """Return the price of an operation, also of a withdrawn one."""
    if operation.metering is not None:
        return from_json(operation.metering)
    return Price(operation.cost, operation.per_items)


def price_before(change: OperationPrice) -> AnyPrice | None:
    """Return the price before a change, or None if the operation was not on offer."""
    if change.metering_before is not None:
        return from_json(change.metering_before)
    cost: Decimal | None = change.cost_before
    return None if cost is None else Price(cost, change.per_items_before)


def price_after(change: OperationPrice) -> AnyPrice | None:
    """Return the price after a change, or None if the operation was withdrawn."""
    if change.metering_after is not None:
        return from_json(change.metering_after)
    cost: Decimal | None = change.cost_after
    return None if cost is None else Price(cost, change.per_items_after)


def parts(price: AnyPrice) -> dict[str, Decimal]:
    """Return the comparable parts of a price.

    These are the credits per 1,000 of each unit and the minimum of a use, or the cost of one item.
    """
    if isinstance(price, MeteredPrice):
        # Without a minimum, a use costs at least the smallest amount (`credits.metered_price`).
        return {**price.unit_costs, "use": price.minimum or STEP}
    # Per item, so that prices with different batches can be compared.
    return {"item": price.cost / (price.per_items or 1)}


@transaction.atomic
def deactivate(operation: str, *, actor: str, now: datetime) -> Operation:
    """Withdraw an operation and record the change. Raises OperationUnknown."""
    return _change(_locked(operation), None, actor, now)


def _locked(key: str) -> Operation:
    found = Operation.objects.select_for_update().filter(pk=key).first()
    if found is None:
        raise OperationUnknown
    return found


def _change(operation: Operation, new: AnyPrice | None, actor: str, now: datetime) -> Operation:
    old = _columns(price_of(operation) if operation.active else None)
    after = _columns(new)
    # A repeated request makes no new version, so that the history shows real changes only.
    if after == old:
        return operation
    operation.active = new is not None
    if new is not None:
        operation.cost, operation.per_items, operation.metering = after.values()
    # Under the row's lock, so that no two prices have the same version. Metered transactions store
    # it.
    operation.version += 1
    operation.updated_at = now
    operation.save(update_fields=["active", *after, "version", "updated_at"])
    OperationPrice.objects.create(
        operation=operation,
        **{f"{column}_before": value for column, value in old.items()},
        **{f"{column}_after": value for column, value in after.items()},
        version=operation.version,
        actor=actor,
        changed_at=now,
    )
    return operation


def _columns(price: AnyPrice | None) -> dict[str, Any]:
    """Return the columns of a price; all are null for an operation that is not on offer."""
    cost, per_items = price if isinstance(price, Price) else (None, None)
    metering = as_json(price) if isinstance(price, MeteredPrice) else None
    return {"cost": cost, "per_items": per_items, "metering": metering}
