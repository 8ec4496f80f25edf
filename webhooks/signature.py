"""Verification of Stripe's signature over the body, with each of our secrets."""

import hashlib
import hmac
import re
import time
from collections.abc import Sequence

import structlog
from prometheus_client import Counter

from credits.errors import DomainError

TOLERANCE_SECONDS = 300
REFUSALS = Counter(
    "mana_credits_webhook_refusals_total", "Rejected webhooks by reason.", ("reason",)
)

logger = structlog.get_logger(__name__)


class WebhooksDisabled(DomainError):
    """No webhook secret is configured, so signatures cannot be verified."""

    code = "webhooks_disabled"
    status = 503
    message = "Webhooks are disabled: STRIPE_WEBHOOK_SECRET is not set"
    says_error = True
    retry_after = 60


class MissingSignature(DomainError):
    """The header `Stripe-Signature` is missing."""

    code = "missing_signature"
    field = "Stripe-Signature"
    message = "Missing signature"
    says_error = True


class InvalidSignature(DomainError):
    """The signature does not match the body and any secret, or is older than 300 seconds."""

    code = "invalid_signature"
    field = "Stripe-Signature"
    message = "Invalid signature"
    says_error = True


def verify(payload: bytes, header: str | None, *, secrets: Sequence[str]) -> None:
    """Verify that Stripe signed `payload`; count and log every rejection.

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
    """Return whether `header` has a valid signature with `secret` of at most 300 seconds ago."""
    fields = [part.split("=", 1) for part in header.split(",")]
    named = [(field[0].strip(), field[1]) for field in fields if len(field) > 1]
    sent = next((value for name, value in named if name == "t"), "")
    # Only old timestamps are rejected, as in Stripe's libraries: the age limits replays.
    if not re.fullmatch(r"[0-9]{1,12}", sent) or int(sent) < time.time() - TOLERANCE_SECONDS:
        return False
    digest = hmac.new(secret.encode(), b"%s.%s" % (sent.encode(), payload), hashlib.sha256)
    expected = digest.hexdigest().encode()
    # While a secret is rolled over, Stripe sends one v1 signature per secret.
    signatures = [value.encode(errors="replace") for name, value in named if name == "v1"]
    return any(hmac.compare_digest(expected, one) for one in signatures)
