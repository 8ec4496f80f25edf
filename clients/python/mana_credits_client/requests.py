"""The parts that both clients share: request bodies, errors and retries."""

import random
from collections.abc import Awaitable
from typing import Any, TypeVar

from mana_credits_client.wire import models
from mana_credits_client.wire.models import Error
from mana_credits_client.wire.types import UNSET, Response, Unset

RETRIED = frozenset({429, 502, 503, 504})
FIRST_PAUSE = 0.2  # seconds
LONGEST_PAUSE = 10.0  # seconds
Answer = TypeVar("Answer")
AsyncResponse = Awaitable[Response[Answer]]
SyncResponse = Response[Answer]
Spend = models.ServiceUseCreditsByAmountRequest | models.ServiceUseCreditsByOperationRequest
Reserve = models.ReserveByAmountRequest | models.ReserveByOperationRequest


class CreditsError(Exception):
    """The service rejected a request, or sent an unknown response.

    `code` is stable (docs/errors.md), `status` is the HTTP status, `details` has facts such as
    `required` and `available`. `retry_after` is in seconds, or None if a retry cannot help.
    """

    def __init__(self, response: Response[Any]) -> None:
        error = response.parsed if isinstance(response.parsed, Error) else None
        details = error.details if error else None
        self.status = int(response.status_code)
        self.code = error.code if error else "unexpected_answer"
        self.message = error.message if error else f"Unexpected answer {self.status}"
        self.details: dict[str, Any] = details.to_dict() if details else {}
        self.retry_after = _retry_after(response) if self.status in RETRIED else None
        super().__init__(f"{self.message} ({self.code})")


def parsed(response: Response[Error | Answer]) -> Answer:
    """Return the parsed response. Raises CreditsError for an error."""
    if response.parsed is None or isinstance(response.parsed, Error):
        raise CreditsError(response)
    return response.parsed


def pause(attempt: int, retry_after: float | None) -> float:
    """Return the seconds to wait before attempt number `attempt` + 1, with jitter."""
    backoff = FIRST_PAUSE * 2.0**attempt * random.uniform(0.5, 1)  # noqa: S311
    return float(min(LONGEST_PAUSE, max(backoff, retry_after or 0)))


def spend_body(
    user_id: str, *, amount: float | None, operation: str | None, **fields: Any
) -> Spend:
    """Return the body of a spend: of an amount, or of an operation at the catalogue's price."""
    if operation is None:
        return models.ServiceUseCreditsByAmountRequest(
            user_id=user_id, amount=_given(amount), **fields
        )
    return models.ServiceUseCreditsByOperationRequest(
        user_id=user_id, operation=operation, **fields
    )


def reserve_body(
    user_id: str, *, amount: float | None, operation: str | None, **fields: Any
) -> Reserve:
    """Return the body of a reservation: of an amount, or of an operation."""
    if operation is None:
        return models.ReserveByAmountRequest(user_id=user_id, amount=_given(amount), **fields)
    return models.ReserveByOperationRequest(user_id=user_id, operation=operation, **fields)


def optional(value: Answer | None) -> Answer | Unset:
    """Return `value`, or UNSET (an absent field) in place of None."""
    return UNSET if value is None else value


def _given(amount: float | None) -> float:
    if amount is None:
        raise ValueError("Either an amount or an operation is required")
    return amount


def _retry_after(response: Response[Any]) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
