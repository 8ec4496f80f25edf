"""The errors of Stripe's API that callers can handle."""

from credits.errors import DomainError


class PaymentUnavailable(DomainError):
    """Stripe cannot be reached or does not accept our key; retry later."""

    code = "payment_unavailable"
    status = 503
    message = "Payments are unavailable for a moment"
    retry_after = 5


class CustomerGone(PaymentUnavailable):
    """The buyer's customer was deleted at Stripe; retry with a new customer."""


class RefusedByStripe(DomainError):
    """Stripe rejected the request; the message is Stripe's. `reason` is Stripe's code, if any."""

    code = "refused_by_stripe"
    status = 409
    message = "Stripe rejected the request"

    def __init__(self, message: str | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class CardDeclined(PaymentUnavailable):
    """A card was declined. `decline` is Stripe's code, `intent_id` the failed payment, if any."""

    def __init__(self, decline: str, intent_id: str | None) -> None:
        super().__init__()
        self.decline = decline
        self.intent_id = intent_id


class PageRefused(DomainError):
    """Stripe rejected a return URL. Details: Stripe's message by field."""

    code = "page_refused"
    message = "Stripe does not accept this URL"
