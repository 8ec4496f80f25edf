"""What operators do with purchases, reservations, subscriptions, prices, packages and messages.

Each is one act: see `credits.staff`. All raise NotPermitted and AlreadyDone, those with a `why`
NoteMissing, besides what they name.
"""

from datetime import datetime
from uuid import UUID

from credits import catalogue, cloud_sync, outbox, packages, purchases, reservations, returns, staff
from credits.catalogue import Price
from credits.models import (
    Operation,
    OutboxMessage,
    Package,
    Purchase,
    Reservation,
    Return,
    SyncSubscription,
)
from credits.packages import Offer
from credits.staff import Operator, Why


def refund_purchase(
    operator: Operator, purchase_id: UUID, *, cents: int | None, why: Why, key: UUID, now: datetime
) -> Return:
    """Send money of a purchase back: the request commits with the act, then Stripe is asked.

    When Stripe cannot be reached the request stays and is sent again. Raises what `returns.refund`
    does.
    """
    why = staff.words(why)
    with staff.acting(
        operator, "credits.refund_purchase", why=why, subject=f"purchase:{purchase_id}", key=key
    ) as act:
        asked = returns.ask(
            purchase_id, cents=cents, reason=why.note[:500], origin=operator.origin(), now=now
        )
        purchase = Purchase.objects.get(pk=purchase_id)
        act.user_id = purchase.user_id
        act.before = {"status": purchase.status}
        act.after = {"refund_cents": asked.amount_cents}
    returns.send(asked, now=now)
    return asked


def send_refund_again(operator: Operator, return_id: UUID, *, key: UUID, now: datetime) -> None:
    """Ask Stripe once more for a refund that it did not answer. Raises what `returns.send` does."""
    asked = Return.objects.get(pk=return_id)
    purchase = Purchase.objects.get(stripe_payment_intent_id=asked.stripe_payment_intent_id)
    with staff.acting(
        operator,
        "credits.refund_purchase",
        why=Why(note="sent again"),
        subject=f"purchase:{purchase.pk}",
        user_id=purchase.user_id,
        key=key,
    ):
        pass
    returns.send(asked, now=now)


def resolve_quarantine(
    operator: Operator, purchase_id: UUID, *, credit: bool, why: Why, key: UUID, now: datetime
) -> Purchase:
    """Credit a quarantined purchase, or leave it; raise what `resolve_quarantine` there does."""
    why = staff.words(why)
    with staff.acting(
        operator, "credits.resolve_quarantine", why=why, subject=f"purchase:{purchase_id}", key=key
    ) as act:
        purchase = purchases.resolve_quarantine(
            purchase_id, credit=credit, reason=why.note[:500], origin=operator.origin(), now=now
        )
        act.user_id = purchase.user_id
        act.before = {"reason": purchase.quarantine_reason}
        act.after = {"resolution": purchase.quarantine_resolution, "status": purchase.status}
        return purchase


def release_reservation(
    operator: Operator, reservation_id: UUID, *, why: Why, key: UUID
) -> Reservation:
    """Free the credits of a stuck reservation. Raises what `reservations.release` does."""
    why = staff.words(why)
    with staff.acting(
        operator,
        "credits.release_reservation",
        why=why,
        subject=f"reservation:{reservation_id}",
        key=key,
    ) as act:
        freed = reservations.release(reservation_id, origin=operator.origin()).reservation
        act.user_id = freed.user_id
        act.before = {"held": freed.amount}
        act.after = {"status": freed.status}
        return freed


def give_sync(
    operator: Operator, user_id: str, *, why: Why, key: UUID, now: datetime
) -> SyncSubscription:
    """Make Cloud Sync a present."""
    why = staff.words(why)
    with staff.acting(operator, "credits.give_sync", why=why, user_id=user_id, key=key) as act:
        act.before = {"gifted": cloud_sync.status(user_id).gifted}
        given = cloud_sync.give(user_id, by=operator.actor, now=now)
        act.after = {"gifted": given.gifted}
        return given


def revoke_sync(
    operator: Operator, user_id: str, *, why: Why, key: UUID, now: datetime
) -> SyncSubscription:
    """Take the present of Cloud Sync back."""
    why = staff.words(why)
    with staff.acting(operator, "credits.give_sync", why=why, user_id=user_id, key=key) as act:
        act.before = {"gifted": cloud_sync.status(user_id).gifted}
        left = cloud_sync.revoke(user_id, now=now)
        act.after = {"gifted": left.gifted, "active": left.active}
        return left


def retry_message(
    operator: Operator, message_id: UUID, *, key: UUID, now: datetime
) -> OutboxMessage:
    """Let a dead message be sent again. Raises MessageNotDead."""
    with staff.acting(
        operator, "credits.retry_message", why=Why(), subject=f"message:{message_id}", key=key
    ) as act:
        revived = outbox.revive(message_id, now=now)
        act.user_id = revived.user_id
        act.before, act.after = {"status": "dead"}, {"status": revived.status}
        return revived


def offer_package(operator: Operator, offer: Offer, *, key: UUID, now: datetime) -> Package:
    """Offer a new package. Raises what `packages.create` does."""
    with staff.acting(operator, "credits.change_packages", why=Why(), key=key) as act:
        package = packages.create(offer, actor=operator.actor, now=now)
        act.subject, act.after = f"package:{package.pk}", _of(offer)
        return package


def change_package(
    operator: Operator, package_id: UUID, offer: Offer, *, key: UUID, now: datetime
) -> Package:
    """Change a package for purchases to come. Raises what `packages.change` does."""
    with staff.acting(
        operator, "credits.change_packages", why=Why(), subject=f"package:{package_id}", key=key
    ) as act:
        package = packages.change(package_id, offer, actor=operator.actor, now=now)
        act.after = _of(offer)
        return package


def switch_package(
    operator: Operator, package_id: UUID, *, active: bool, key: UUID, now: datetime
) -> Package:
    """Take a package off offer, or bring it back. Raises PackageUnknown."""
    switch = packages.bring_back if active else packages.retire
    with staff.acting(
        operator, "credits.change_packages", why=Why(), subject=f"package:{package_id}", key=key
    ) as act:
        package = switch(package_id, actor=operator.actor, now=now)
        act.after = {"active": package.active}
        return package


def change_price(
    operator: Operator, name: str, price: Price | None, *, why: Why, key: UUID, now: datetime
) -> Operation:
    """Give an operation a price from now on; None takes it off offer. Raises OperationUnknown."""
    with staff.acting(
        operator, "credits.change_prices", why=why, subject=f"operation:{name}", key=key
    ) as act:
        known = Operation.objects.filter(pk=name).first()
        act.before = {"cost": known.cost, "active": known.active} if known else {}
        if price is None:
            changed = catalogue.deactivate(name, actor=operator.actor, now=now)
        else:
            changed = catalogue.set_price(name, price, actor=operator.actor, now=now)
        act.after = {"cost": changed.cost, "active": changed.active}
        return changed


def _of(offer: Offer) -> dict[str, object]:
    return {
        "name": offer.name,
        "credits": offer.credits,
        "price_euro_cents": offer.price_euro_cents,
    }
