"""What Stripe's objects say about purchases, read out of their JSON.

The same object comes in events, in answers and in lists; all of them are read here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from credits.models import Return

State = Return.State
Object = Mapping[str, Any]

RETURNED_REFUNDS = {"failed", "canceled"}
ENDED_DISPUTES = {"won", "warning_closed", "prevented"}


class Payment(NamedTuple):
    """A payment intent or Checkout Session: its ids, ours, and the money; `status` is Stripe's."""

    intent_id: str | None
    session_id: str | None
    purchase_id: UUID | None
    amount_cents: int
    currency: str
    status: str


class MoneyBack(NamedTuple):
    """A refund or a dispute: of which payment, how much, and where the money is.

    `return_id` names our row when we asked for it.
    """

    stripe_id: str
    kind: str
    intent_id: str | None
    amount_cents: int
    state: str
    status: str
    return_id: UUID | None = None


def of_intent(intent: Object) -> Payment:
    """Read a payment intent; the amount is what was received once it succeeded."""
    received = intent.get("amount_received") or intent["amount"]
    return Payment(
        intent_id=intent["id"],
        session_id=None,
        purchase_id=_our_id(intent, "purchaseId"),
        amount_cents=received,
        currency=intent["currency"],
        status=intent["status"],
    )


def of_session(session: Object) -> Payment:
    """Read a Checkout Session; `status` is `paid`, `unpaid`, `no_payment_required`."""
    return Payment(
        intent_id=id_of(session.get("payment_intent")),
        session_id=session["id"],
        purchase_id=_our_id(session, "purchaseId"),
        amount_cents=session["amount_total"],
        currency=session["currency"],
        status=session["payment_status"],
    )


def of_refund(refund: Object) -> MoneyBack:
    """Read a refund. One that Stripe accepted counts as gone until it fails."""
    return MoneyBack(
        stripe_id=refund["id"],
        kind=Return.Kind.REFUND,
        intent_id=id_of(refund.get("payment_intent")),
        amount_cents=refund["amount"],
        state=State.RETURNED if refund["status"] in RETURNED_REFUNDS else State.GONE,
        status=refund["status"],
        return_id=_our_id(refund, "returnId"),
    )


def of_dispute(dispute: Object, *, at_least: str = State.OPEN) -> MoneyBack:
    """Read a dispute; `at_least` is what the event around it says of the money."""
    return MoneyBack(
        stripe_id=dispute["id"],
        kind=Return.Kind.DISPUTE,
        intent_id=id_of(dispute.get("payment_intent")),
        amount_cents=dispute["amount"],
        state=further(at_least, _state_of_dispute(dispute)),
        status=dispute["status"],
    )


def further(one: str, other: str) -> str:
    """Return the later of two states."""
    order = list(State)
    return max(one, other, key=lambda state: order.index(State(state)))


def id_of(reference: Any) -> str | None:
    """Return the id of a reference, which Stripe may have expanded to the whole object."""
    found = reference.get("id") if isinstance(reference, Mapping) else reference
    return found if isinstance(found, str) else None


def _state_of_dispute(dispute: Object) -> str:
    movements = [one["amount"] for one in dispute.get("balance_transactions") or []]
    if any(amount > 0 for amount in movements):
        return State.RETURNED
    if dispute["status"] == "lost" or any(amount < 0 for amount in movements):
        return State.GONE
    return State.CLOSED if dispute["status"] in ENDED_DISPUTES else State.OPEN


def _our_id(found: Object, name: str) -> UUID | None:
    try:
        return UUID((found.get("metadata") or {}).get(name, ""))
    except (ValueError, AttributeError, TypeError):
        return None
