"""Changes of prices and packages, and decisions about quarantined purchases.

Every act is recorded with its justification, and a form acts once.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from credits import catalogue
from credits.amounts import plain
from credits.catalogue import Price
from credits.models import Operation, Package, Purchase
from credits.payments import packages, purchases
from credits.payments.packages import Offer
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Operator, Why


def set_price(
    operator: Operator, operation: str, new: Price, *, why: Why, key: UUID, now: datetime
) -> Operation:
    """Set an operation's price from now on; reactivate the operation if it was inactive.

    Raises NotPermitted, AlreadyDone, NoteMissing, and what `catalogue.set_price` does.
    """
    change = partial(catalogue.set_price, operation, new, actor=operator.actor, now=now)
    return _reprice(operator, operation, change, why, key)


def take_off_offer(
    operator: Operator, operation: str, *, why: Why, key: UUID, now: datetime
) -> Operation:
    """Deactivate an operation until it gets a price again.

    Raises NotPermitted, AlreadyDone, NoteMissing, OperationUnknown.
    """
    change = partial(catalogue.deactivate, operation, actor=operator.actor, now=now)
    return _reprice(operator, operation, change, why, key)


def save_package(
    operator: Operator, package_id: UUID | None, offer: Offer, *, why: Why, key: UUID, now: datetime
) -> Package:
    """Create a package if `package_id` is None, else change the package to `offer`.

    Raises NotPermitted, AlreadyDone, NoteMissing, and what `packages.create` and `change` do.
    """
    why = audit.words(why)
    with audit.acting(operator, "credits.change_packages", why=why, key=key) as act:
        if package_id is None:
            saved = packages.create(offer, actor=operator.actor, now=now)
        else:
            act.before = _offered(Package.objects.filter(pk=package_id).first())
            saved = packages.change(package_id, offer, actor=operator.actor, now=now)
        act.subject = f"package:{saved.pk}"
        act.after = _offered(saved)
        return saved


def put_on_offer(
    operator: Operator, package_id: UUID, active: bool, *, why: Why, key: UUID, now: datetime
) -> Package:
    """Retire a package, or with `active` offer it again.

    Raises NotPermitted, AlreadyDone, NoteMissing, PackageUnknown.
    """
    why = audit.words(why)
    with audit.acting(operator, "credits.change_packages", why=why, key=key) as act:
        act.before = _offered(Package.objects.filter(pk=package_id).first())
        decide = packages.bring_back if active else packages.retire
        changed = decide(package_id, actor=operator.actor, now=now)
        act.subject = f"package:{package_id}"
        act.after = _offered(changed)
        return changed


def resolve_quarantine(
    operator: Operator, purchase_id: UUID, credit: bool, *, why: Why, key: UUID, now: datetime
) -> Purchase:
    """Credit a quarantined purchase, or leave it uncredited.

    Raises NotPermitted, AlreadyDone, NoteMissing, and what `purchases.resolve_quarantine` does.
    """
    why = audit.words(why)
    with audit.acting(operator, "credits.resolve_quarantine", why=why, key=key) as act:
        done = purchases.resolve_quarantine(
            purchase_id,
            credit=credit,
            reason=why.note,
            origin=operator.origin(at=now, key=key),
            now=now,
        )
        act.user_id = done.user_id
        act.subject = f"purchase:{purchase_id}"
        act.after = {"resolution": done.quarantine_resolution, "status": done.status}
        return done


def _reprice(
    operator: Operator, operation: str, change: Callable[[], Operation], why: Why, key: UUID
) -> Operation:
    why = audit.words(why)
    with audit.acting(operator, "credits.change_prices", why=why, key=key) as act:
        before = Operation.objects.select_for_update().filter(pk=operation).first()
        act.subject = f"operation:{operation}"
        act.before = _priced(before) if before else {}
        changed = change()
        act.after = _priced(changed)
        return changed


def _priced(operation: Operation) -> dict[str, Any]:
    return {
        "cost": plain(operation.cost),
        "per_items": operation.per_items,
        "active": operation.active,
    }


def _offered(package: Package | None) -> dict[str, Any]:
    if package is None:
        return {}
    return {
        "name": package.name,
        "credits": plain(package.credits),
        "price_euro_cents": package.price_euro_cents,
        "active": package.active,
    }
