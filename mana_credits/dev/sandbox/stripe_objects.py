"""Parts of Stripe that localstripe lacks: Checkout, disputes, events of refunds and debits.

The classes follow localstripe's conventions and use its store, so that its own objects can refer to
them. Its API shows every attribute and method without a leading underscore.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from localstripe import resources
from localstripe.errors import UserError
from localstripe.resources import (
    Charge,
    Event,
    PaymentIntent,
    PaymentMethod,
    Refund,
    StripeObject,
)

from mana_credits.dev.sandbox.payment_methods import PAYMENT_METHODS, VALID_CARD

# localstripe's own methods, kept here because `extend` replaces them by the functions below, which
# call them.
_succeeded = PaymentIntent._on_success
_failed_later = PaymentIntent._report_async_failure


def tell(kind: str, subject: Any) -> None:
    """Send an event with the current state of an object."""
    resources.schedule_webhook(Event(kind, subject))


class Session(StripeObject):
    """A Checkout Session: open, then complete or expired."""

    object = "checkout.session"
    _id_prefix = "cs_test_"
    _pay_at = ""

    def __init__(self, **data: Any) -> None:
        items = data["line_items"]
        price = items[0]["price_data"]
        require_customer(data["customer"])
        super().__init__()
        self.customer = data["customer"]
        self.mode = data["mode"]
        self.metadata = data.get("metadata") or {}
        self.amount_total = int(price["unit_amount"]) * int(items[0].get("quantity", 1))
        self.currency = price["currency"]
        self.success_url = data["success_url"]
        self.cancel_url = data["cancel_url"]
        self.expires_at = int(data.get("expires_at") or self.created + 86_400)
        self.status = "open"
        self.payment_status = "unpaid"
        self.payment_intent: str | None = None
        self._intent_metadata = (data.get("payment_intent_data") or {}).get("metadata")
        # Stripe's limits. The service must not find out about them in production first.
        if not 1800 <= self.expires_at - self.created <= 86_400:
            raise UserError(400, "expires_at must be between 30 minutes and 24 hours from now")

    @property
    def url(self) -> str | None:
        """Return the URL of the payment page, or None if the session is not open."""
        return f"{self._pay_at}/pay/{self.id}" if self.status == "open" else None

    def _intent(self) -> Any:
        """Return the payment intent; create it on the first call. Raises UserError if not open."""
        if self.status != "open":
            raise UserError(400, "This session is no longer open")
        if self.payment_intent is None:
            intent = PaymentIntent(
                amount=self.amount_total,
                currency=self.currency,
                customer=self.customer,
                metadata=self._intent_metadata,
            )
            self.payment_intent = intent.id
        return PaymentIntent._api_retrieve(self.payment_intent)

    def _complete(self, *, paid: bool) -> None:
        """Complete the session. Without `paid`, the payment is still processing."""
        self.status = "complete"
        self.payment_status = "paid" if paid else "unpaid"
        tell("checkout.session.completed", self)

    def _hear(self, *, paid: bool) -> None:
        """Report the outcome of a processing debit."""
        if self.status == "complete":
            self.payment_status = "paid" if paid else "unpaid"
            outcome = "succeeded" if paid else "failed"
            tell(f"checkout.session.async_payment_{outcome}", self)

    @classmethod
    def _api_expire(cls, id: str, **_: Any) -> "Session":  # noqa: A002
        session: Session = cls._api_retrieve(id)
        if session.status != "open":
            raise UserError(400, "Only Checkout Sessions with a status of open can be expired")
        session.status = "expired"
        tell("checkout.session.expired", session)
        return session


class Dispute(StripeObject):
    """A dispute of a payment by the buyer's bank."""

    object = "dispute"
    _id_prefix = "dp_"

    def __init__(self, intent: Any, amount: int | None = None, *, inquiry: bool = False) -> None:
        super().__init__()
        self.amount = amount or intent.amount
        self.currency = intent.currency
        self.charge = intent.latest_charge.id
        self.payment_intent = intent.id
        self.reason = "fraudulent"
        self.status = "warning_needs_response" if inquiry else "needs_response"
        self.balance_transactions: list[dict[str, Any]] = []
        tell("charge.dispute.created", self)

    def _withdraw(self) -> None:
        """Withdraw the disputed amount."""
        self._move(-self.amount)
        tell("charge.dispute.funds_withdrawn", self)

    def _close(self, status: str, reinstated: int | None = None) -> None:
        """Close the dispute as won, lost or warning_closed and reinstate `reinstated` cents.

        By default a won dispute reinstates the whole amount, any other nothing. A dispute that is
        lost after it was won withdraws its money again.
        """
        won_before, self.status = self.status == "won", status
        if won_before and status == "lost":
            self._withdraw()
        if reinstated is None:
            reinstated = self.amount if status == "won" else 0
        if reinstated and self.balance_transactions:
            self._move(reinstated)
            tell("charge.dispute.funds_reinstated", self)
        tell("charge.dispute.closed", self)

    def _move(self, amount: int) -> None:
        name = f"txn_{self.id}_{len(self.balance_transactions)}"
        movement = {"id": name, "amount": amount, "currency": self.currency}
        # Create a new list, because events that were sent before refer to the old one.
        self.balance_transactions = [*self.balance_transactions, movement]


def pay(intent: Any, method: str) -> None:
    """Pay with one of PAYMENT_METHODS. Raises UserError for a declined card or unknown method."""
    if method not in PAYMENT_METHODS:
        raise UserError(400, f"Unknown method. Allowed: {', '.join(PAYMENT_METHODS)}")
    details = {name: value for name, value in PAYMENT_METHODS[method].items() if name != "card"}
    if card := PAYMENT_METHODS[method].get("card"):
        details["card"] = {**card, **VALID_CARD}
    session = session_of(intent)
    intent.payment_method = PaymentMethod(**details).id
    intent.latest_charge = None
    intent._confirm(on_failure_now=intent._report_failure)
    if "sepa" in method:
        intent.latest_charge.status = "pending"  # localstripe sets `succeeded` too early
        tell("payment_intent.processing", intent)
    if session:
        session._complete(paid="sepa" not in method)


def fail_refund(refund: Any) -> None:
    """Make a refund fail, as a closed account does."""
    refund.status = "failed"
    tell("refund.failed", refund)


def session_of(intent: Any) -> Session | None:
    """Return the Checkout Session of an intent, or None."""
    sessions = (one for one in resources.store.values() if isinstance(one, Session))
    return next((one for one in sessions if one.payment_intent == intent.id), None)


@cache
def extend() -> None:
    """Patch localstripe's classes with the functions below, and disable its file storage."""
    # localstripe would write all objects to a file in the current folder after each request.
    resources.Store.dump_to_disk = lambda _: None
    PaymentIntent._api_create = classmethod(_create_intent)
    PaymentIntent._api_cancel = classmethod(_cancel_intent)
    PaymentIntent._on_success = _on_success
    PaymentIntent._report_async_failure = _on_later_failure
    PaymentIntent.amount_received = property(
        lambda intent: intent.amount if intent.status == "succeeded" else 0
    )
    Refund._api_create = classmethod(_create_refund)
    Charge.amount_refunded = property(_amount_refunded)
    Charge.receipt_url = property(lambda charge: f"{Session._pay_at}/receipts/{charge.id}")
    for listed in (PaymentIntent, Refund, Dispute):
        listed._api_list_all = classmethod(_listing(listed._api_list_all.__func__))


_create = PaymentIntent._api_create.__func__
_cancel = PaymentIntent._api_cancel.__func__
_refund = Refund._api_create.__func__


def _create_intent(cls: Any, /, allowed_payment_method_types: Any = None, **data: Any) -> Any:
    if "payment_method_types" in data:  # as Stripe does since 2026-08-26
        raise UserError(400, "payment_method_types is no longer supported")
    if "customer" in data:
        require_customer(data["customer"])
    if "off_session" in data:
        return _charge_off_session(cls, **data)
    return _create(cls, **data)


def _charge_off_session(cls: Any, /, off_session: Any, confirm: Any, **data: Any) -> Any:
    """Create and confirm an intent without its owner. Raises UserError with the failed intent."""
    intent = _create(cls, **data)
    try:
        _confirm_off_session(intent)
    except UserError as refusal:
        refusal.body["error"]["payment_intent"] = intent._export()
        raise
    return intent


def _confirm_off_session(intent: Any) -> None:
    if PaymentMethod._api_retrieve(intent.payment_method)._requires_authentication():
        intent._authentication_failed = True
        intent.payment_method = None
        tell("payment_intent.payment_failed", intent)
        message = "Your card was declined. This transaction requires authentication."
        raise UserError(402, message, {"code": "authentication_required"})
    intent._confirm(on_failure_now=intent._report_failure)


def require_customer(customer: str) -> None:
    """Raise UserError if the customer does not exist."""
    if f"customer:{customer}" not in resources.store:
        what = {"code": "resource_missing", "param": "customer"}
        raise UserError(400, f"No such customer: '{customer}'", what)


def _cancel_intent(cls: Any, /, id: str, **data: Any) -> Any:  # noqa: A002
    intent = _cancel(cls, id, **data)
    tell("payment_intent.canceled", intent)
    return intent


def _create_refund(cls: Any, /, **data: Any) -> Any:
    intent = PaymentIntent._api_retrieve(data["payment_intent"])
    left = intent.amount - intent.latest_charge.amount_refunded
    if int(data.get("amount") or left) > left or not left:
        raise UserError(400, "Refund amount is greater than unrefunded amount on charge")
    refund = _refund(cls, **data)
    tell("refund.created", refund)
    tell("charge.refunded", intent.latest_charge)
    return refund


def _amount_refunded(charge: Any) -> int:
    standing = (one for one in charge.refunds._list if one.status != "failed")
    return sum(one.amount for one in standing)


def _on_success(intent: Any) -> None:
    _succeeded(intent)
    # Stripe copies the metadata of the intent to the charge; the receipt's event is matched by it.
    intent.latest_charge.metadata = dict(intent.metadata or {})
    tell("charge.succeeded", intent.latest_charge)
    if session := session_of(intent):
        session._hear(paid=True)


def _on_later_failure(intent: Any) -> None:
    _failed_later(intent)
    if session := session_of(intent):
        session._hear(paid=False)


def _listing(original: Callable[..., Any]) -> Callable[..., Any]:
    def listed(cls: Any, /, url: str, created: Any = None, **data: Any) -> Any:
        page = original(cls, url, **data)
        since = int((created or {}).get("gte", 0))
        found = [one for one in page._list if one.created >= since]
        # Stripe lists the newest objects first.
        page._list = found[::-1]
        return page

    return listed
