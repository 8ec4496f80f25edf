"""The parts that both clients share: request bodies, errors and retries."""

import random
from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import httpx

from mana_credits_client.wire import models
from mana_credits_client.wire.types import UNSET, Response, Unset

# Answers after which a retry may succeed: a slow or failed request, too many requests, a proxy
# without the service, an outage.
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
FIRST_PAUSE = 0.2  # seconds
LONGEST_PAUSE = 10.0  # seconds
Answer = TypeVar("Answer")
AsyncResponse = Awaitable[Response[Answer]]
SyncResponse = Response[Answer]
Spend = (
    models.ServiceUseCreditsByAmountRequest
    | models.ServiceUseCreditsByOperationRequest
    | models.ServiceUseCreditsByUnitsRequest
)
Reserve = (
    models.ReserveByAmountRequest | models.ReserveByOperationRequest | models.ReserveByUnitsRequest
)
Commit = models.CommitReservationByAmountRequest | models.CommitReservationByUnitsRequest


class Cost(NamedTuple):
    """The credits to take: an amount, or an operation's price for a quantity or units."""

    amount: float | None
    operation: str | None
    quantity: int | None
    units: Mapping[str, int] | None


class CreditsError(Exception):
    """The service rejected a request, or sent an unknown response.

    `code` is stable (docs/errors.md), `status` is the HTTP status, `details` has facts such as
    `required` and `available`. `retry_after` is in seconds, or None if a retry cannot help.
    """

    def __init__(self, response: httpx.Response) -> None:
        error = _json_object(response)
        details = error.get("details")
        self.status = response.status_code
        self.code = str(error.get("code", "unexpected_answer"))
        self.message = str(error.get("message", f"Unexpected answer {self.status}"))
        self.details: dict[str, Any] = details if isinstance(details, dict) else {}
        self.retry_after = _retry_after(response) if self.status in RETRIED else None
        super().__init__(f"{self.message} ({self.code})")


def is_answer(response: httpx.Response) -> bool:
    """Return whether the service has done what it was asked. A proxy answers with pages."""
    return response.is_success and "json" in response.headers.get("Content-Type", "")


def pause(attempt: int, retry_after: float | None) -> float:
    """Return the seconds to wait before attempt number `attempt` + 1, with jitter."""
    # Random, so that clients that failed together do not return together.
    backoff = FIRST_PAUSE * 2.0**attempt * random.uniform(0.5, 1)  # noqa: S311
    return float(min(LONGEST_PAUSE, max(backoff, retry_after or 0)))


def spend_body(user_id: str, cost: Cost, **fields: Any) -> Spend:
    """Return the body of a spend: of an amount, or of an operation at the catalogue's price."""
    if cost.operation is None:
        return models.ServiceUseCreditsByAmountRequest(
            user_id=user_id, amount=_amount(cost), **fields
        )
    if cost.units is None:
        return models.ServiceUseCreditsByOperationRequest(
            user_id=user_id,
            operation=cost.operation,
            quantity=optional(cost.quantity),
            **fields,
        )
    return models.ServiceUseCreditsByUnitsRequest(
        user_id=user_id,
        operation=cost.operation,
        units=models.ServiceUseCreditsByUnitsRequestUnits.from_dict(cost.units),
        **fields,
    )


def reserve_body(user_id: str, cost: Cost, **fields: Any) -> Reserve:
    """Return the body of a reservation: of an amount, or of an operation."""
    if cost.operation is None:
        return models.ReserveByAmountRequest(user_id=user_id, amount=_amount(cost), **fields)
    if cost.units is None:
        return models.ReserveByOperationRequest(
            user_id=user_id,
            operation=cost.operation,
            quantity=optional(cost.quantity),
            **fields,
        )
    return models.ReserveByUnitsRequest(
        user_id=user_id,
        operation=cost.operation,
        units=models.ReserveByUnitsRequestUnits.from_dict(cost.units),
        **fields,
    )


def commit_body(reservation_id: UUID, used: float | Mapping[str, int] | None) -> Commit:
    """Return the body of a commit: of an amount, of units, or of all that is held."""
    if isinstance(used, Mapping):
        units = models.CommitReservationByUnitsRequestUnits.from_dict(used)
        return models.CommitReservationByUnitsRequest(reservation_id=reservation_id, units=units)
    return models.CommitReservationByAmountRequest(
        reservation_id=reservation_id, amount=optional(used)
    )


def optional(value: Answer | None) -> Answer | Unset:
    """Return `value`, or UNSET (an absent field) in place of None."""
    return UNSET if value is None else value


def _amount(cost: Cost) -> float:
    if cost.amount is None or cost.units is not None:
        raise ValueError("Either an amount or an operation is required")
    return cost.amount


def _json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the body as a JSON object, or an empty one for any other body."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
