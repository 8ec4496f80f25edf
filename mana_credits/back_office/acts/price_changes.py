"""Changes of operations' prices. Each is recorded with its justification; a form acts once."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings

from credits.amounts import counted, plain
from credits.catalogue import catalogue
from credits.catalogue.catalogue import AnyPrice, Price
from credits.catalogue.metered_prices import UNIT_PLACES, MeteredPrice, as_json, from_json
from credits.models import ActRequest, Operation
from mana_credits.back_office.acts import act_requests, audit, second_person
from mana_credits.back_office.acts.act_requests import WantedAct
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator
from mana_credits.back_office.templatetags.office import NOTHING, amount

SUMMARY_LENGTH = 500


def set_price(
    operator: Operator,
    operation: str,
    new: AnyPrice,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> Operation | ActRequest:
    """Set an operation's price from now on; reactivate the operation if it was inactive.

    A change by more than `ADMIN_PRICE_FACTOR` within 24 hours, up or down, waits for approval. So
    does a price for units that had none, and a permission to overdraw. Raises NotPermitted,
    AlreadyDone, NoteRequired, AlreadyRequested, AlreadyInState, and what `catalogue.set_price`
    does.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.change_prices", why=why, key=key) as act:
        catalogue.require_valid(operation, new)
        found = Operation.objects.select_for_update().filter(pk=operation).first()
        if found and price_waits(found, new, now=now):
            wanted = _price_request(found, new)
            return act_requests.ask(operator, wanted, act, why=why, now=now)
        return _set_price(operator, operation, new, act, now)


def set_price_approved(
    operator: Operator, asked: ActRequest, act: AuditRecord, now: datetime
) -> None:
    """Set an approved price. Raises what `catalogue.set_price` does."""
    new = price_from(asked.arguments)
    _set_price(operator, asked.arguments["operation"], new, act, now)


def take_off_offer(
    operator: Operator, operation: str, *, why: Justification, key: UUID, now: datetime
) -> Operation:
    """Deactivate an operation until it gets a price again.

    Raises NotPermitted, AlreadyDone, NoteRequired, OperationUnknown, AlreadyInState.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.change_prices", why=why, key=key) as act:
        return _set_price(operator, operation, None, act, now)


def price_waits(found: Operation, new: AnyPrice, *, now: datetime) -> bool:
    """Return whether the new price needs a second person.

    Compares the cost of one item, or of each unit, with the lowest and the highest within 24 hours.
    """
    # All prices of the window count. Otherwise several small changes would make a large one.
    recent = found.prices.filter(changed_at__gt=now - second_person.WINDOW)
    prices = [catalogue.price_before(one) for one in recent]
    known = [one for one in (*prices, catalogue.price_of(found)) if one is not None]
    if overdraws(new) and not all(map(overdraws, known)):
        return True
    before = [catalogue.parts(one) for one in known]
    return any(
        _is_far(cost, [one[part] for one in before if part in one])
        for part, cost in catalogue.parts(new).items()
    )


def price_text(price: AnyPrice | None) -> str:
    """Return a price in words, or a dash for None."""
    if price is None:
        return NOTHING
    if isinstance(price, Price):
        each = f"for each started {price.per_items}" if price.per_items else "each"
        return f"{counted(price.cost, 'credit')} {each}"
    costs = (f"{amount(cost, UNIT_PLACES)} {unit}" for unit, cost in price.unit_costs.items())
    least = f", at least {amount(price.minimum)}" if price.minimum else ""
    debt = ", may overdraw" if price.may_overdraw else ""
    return f"credits per 1,000: {', '.join(costs)}{least}{debt}"


def as_arguments(price: AnyPrice) -> dict[str, Any]:
    """Return a price as arguments of a request."""
    if isinstance(price, Price):
        return {"cost": plain(price.cost), "per_items": price.per_items}
    return {"metering": as_json(price)}


def price_from(arguments: dict[str, Any]) -> AnyPrice:
    """Return the price in the arguments of a request."""
    if metered := arguments.get("metering"):
        return from_json(metered)
    return Price(Decimal(arguments["cost"]), arguments["per_items"])


def priced(operation: Operation) -> dict[str, Any]:
    """Return an operation's price as values of the audit trail."""
    if operation.metering is not None:
        return {"metering": operation.metering, "active": operation.active}
    return {
        "cost": plain(operation.cost),
        "per_items": operation.per_items,
        "active": operation.active,
    }


def overdraws(price: AnyPrice) -> bool:
    """Return whether a commit at this price may take an account below zero."""
    return isinstance(price, MeteredPrice) and price.may_overdraw


def _set_price(
    operator: Operator, operation: str, new: AnyPrice | None, act: AuditRecord, now: datetime
) -> Operation:
    before = Operation.objects.select_for_update().filter(pk=operation).first()
    act.subject = f"operation:{operation}"
    act.before = priced(before) if before else {}
    if new is None:
        changed = catalogue.deactivate(operation, actor=operator.actor, now=now)
    else:
        changed = catalogue.set_price(operation, new, actor=operator.actor, now=now)
    act.after = priced(changed)
    return changed


def _is_far(cost: Decimal, known: list[Decimal]) -> bool:
    """Return whether a cost differs from the known ones by more than the factor, or is new."""
    factor = settings.ADMIN_PRICE_FACTOR
    return not known or cost > min(known) * factor or cost * factor < max(known)


def _price_request(found: Operation, new: AnyPrice) -> WantedAct:
    return WantedAct(
        act_requests.Kind.PRICE,
        f"operation:{found.pk}",
        {"operation": found.pk, **as_arguments(new)},
        _summary(found, new)[:SUMMARY_LENGTH],
    )


def _summary(found: Operation, new: AnyPrice) -> str:
    # "may overdraw" comes first, because a long summary is cut off at its end.
    named = found.pk + (", which may overdraw" if overdraws(new) else "")
    return f"Price of {named}: {price_text(catalogue.price_of(found))} → {price_text(new)}"
