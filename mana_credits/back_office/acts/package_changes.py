"""Changes of packages. Each is recorded with its justification; a form acts once."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings

from credits.amounts import counted, plain
from credits.models import ActRequest, Package
from credits.payments import packages
from credits.payments.packages import Offer
from mana_credits.back_office.acts import act_requests, audit
from mana_credits.back_office.acts.act_requests import WantedAct
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator
from mana_credits.back_office.templatetags.office import euros


def save_package(
    operator: Operator,
    package_id: UUID | None,
    offer: Offer,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> Package | ActRequest:
    """Create a package if `package_id` is None, else change the package to `offer`.

    An offer that sells a credit for less than `ADMIN_LEAST_CENTS_PER_CREDIT` waits for approval.
    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyRequested, AlreadyInState, and what
    `packages.create` and `change` do.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.change_packages", why=why, key=key) as act:
        found = Package.objects.filter(pk=package_id).first() if package_id else None
        is_new = found is None or _values(found) != _values(offer)
        if is_new and is_cheap(offer.price_euro_cents, offer.credits):
            wanted = _package_request(package_id, offer, {"offer": _values(offer)})
            return act_requests.ask(operator, wanted, act, why=why, now=now)
        return _save_package(operator, package_id, offer, act, now)


def put_on_offer(
    operator: Operator,
    package_id: UUID,
    active: bool,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> Package | ActRequest:
    """Retire a package, or with `active` offer it again; a cheap one waits for approval.

    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyRequested, AlreadyInState,
    PackageUnknown.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.change_packages", why=why, key=key) as act:
        # Locked, so that its price and credits cannot change between the check and the offer.
        found = Package.objects.select_for_update().filter(pk=package_id).first()
        if (
            found
            and active
            and not found.active
            and is_cheap(found.price_euro_cents, found.credits)
        ):
            wanted = _package_request(package_id, found, {"offer": None})
            return act_requests.ask(operator, wanted, act, why=why, now=now)
        return _put_on_offer(operator, package_id, active, act, now)


def package_approved(
    operator: Operator, asked: ActRequest, act: AuditRecord, now: datetime
) -> None:
    """Save or offer an approved package. Raises what `packages.create` and `change` do."""
    given = asked.arguments
    package_id = UUID(given["package_id"]) if given["package_id"] else None
    if given["offer"] is None and package_id:
        _put_on_offer(operator, package_id, True, act, now)
        return
    offer = Offer(**{**given["offer"], "credits": Decimal(given["offer"]["credits"])})
    _save_package(operator, package_id, offer, act, now)


def is_cheap(cents: int, amount: Decimal) -> bool:
    """Return whether a credit costs less than the floor, in cents."""
    return amount > 0 and cents < settings.ADMIN_LEAST_CENTS_PER_CREDIT * amount


def _package_request(
    package_id: UUID | None, sold: Offer | Package, arguments: dict[str, Any]
) -> WantedAct:
    cost = euros(sold.price_euro_cents)
    return WantedAct(
        act_requests.Kind.PACKAGE,
        f"package:{package_id}" if package_id else f"package:new:{sold.name}",
        {**arguments, "package_id": str(package_id) if package_id else None},
        f"{sold.name[:100]}: {counted(sold.credits, 'credit')} for {cost}",
    )


def _save_package(
    operator: Operator, package_id: UUID | None, offer: Offer, act: AuditRecord, now: datetime
) -> Package:
    if package_id is None:
        saved = packages.create(offer, actor=operator.actor, now=now)
    else:
        act.before = _offered(Package.objects.filter(pk=package_id).first())
        saved = packages.change(package_id, offer, actor=operator.actor, now=now)
    act.subject = f"package:{saved.pk}"
    act.after = _offered(saved)
    return saved


def _put_on_offer(
    operator: Operator, package_id: UUID, active: bool, act: AuditRecord, now: datetime
) -> Package:
    act.before = _offered(Package.objects.filter(pk=package_id).first())
    decide = packages.bring_back if active else packages.retire
    changed = decide(package_id, actor=operator.actor, now=now)
    act.subject = f"package:{package_id}"
    act.after = _offered(changed)
    return changed


def _offered(package: Package | None) -> dict[str, Any]:
    if package is None:
        return {}
    return {**_values(package), "active": package.active}


def _values(sold: Offer | Package) -> dict[str, Any]:
    values = {name: getattr(sold, name) for name in Offer._fields}
    # As text, because the arguments of a request are JSON, which has no exact decimals.
    return {**values, "credits": plain(sold.credits)}
