"""Who sent it: Stripe's signature over the body, checked against any of our secrets."""

from collections.abc import Sequence

import stripe
import structlog
from prometheus_client import Counter

from credits.errors import DomainError

TOLERANCE_SECONDS = 300
REFUSALS = Counter(
    "mana_credits_webhook_refusals_total", "Webhooks that were refused, by reason.", ("reason",)
)

logger = structlog.get_logger(__name__)


class WebhooksDisabled(DomainError):
    """There is no secret, so nothing can be told from a forgery."""

    code = "webhooks_disabled"
    status = 503
    message = "Webhooks are refused: STRIPE_WEBHOOK_SECRET is not set"
    says_error = True
    retry_after = 60


class MissingSignature(DomainError):
    """There is no header `Stripe-Signature`."""

    code = "missing_signature"
    field = "Stripe-Signature"
    message = "Missing signature"
    says_error = True


class InvalidSignature(DomainError):
    """No secret made this signature of this body in the last 300 seconds."""

    code = "invalid_signature"
    field = "Stripe-Signature"
    message = "Invalid signature"
    says_error = True


def verify(payload: bytes, header: str | None, *, secrets: Sequence[str]) -> None:
    """Return when Stripe sent `payload`; every refusal is counted and logged.

    Raises WebhooksDisabled, MissingSignature, InvalidSignature.
    """
    refusal = _refusal(payload, header, secrets)
    if refusal:
        REFUSALS.labels(refusal.code).inc()
        logger.error("webhook_refused", reason=refusal.code, message=refusal.text)
        raise refusal


def _refusal(payload: bytes, header: str | None, secrets: Sequence[str]) -> DomainError | None:
    if not secrets:
        return WebhooksDisabled()
    if not header:
        return MissingSignature()
    return None if any(_signed(payload, header, one) for one in secrets) else InvalidSignature()


def _signed(payload: bytes, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(payload.decode(), header, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, ValueError):
        return False
    return True
