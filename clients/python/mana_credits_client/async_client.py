"""The clients. `client.py`, for threads, is generated from `async_client.py` (hatch_build.py)."""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from uuid import UUID, uuid4

import httpx

from mana_credits_client import requests
from mana_credits_client.requests import AsyncResponse, Cost, CreditsError
from mana_credits_client.wire import AuthenticatedClient, models
from mana_credits_client.wire.api.internal import (
    internal_commit,
    internal_release,
    internal_reserve,
    internal_use,
)
from mana_credits_client.wire.models import Error

Answer = TypeVar("Answer")


class AsyncCredits:
    """A service's access to the credits of all users. Tasks, or threads, may share one instance.

    `key` is the service key. `timeout` limits each attempt, in seconds.
    """

    def __init__(self, url: str, key: str, *, attempts: int = 4, timeout: float = 10) -> None:
        self._attempts = attempts
        self._wire = AuthenticatedClient(
            url,
            token=key,
            prefix="",
            auth_header_name="X-Service-Key",
            timeout=httpx.Timeout(timeout),
            httpx_args={"event_hooks": {"response": [_raise_for_error]}},
        )

    async def call(
        self, send: Callable[..., AsyncResponse[Error | Answer]], /, **arguments: Any
    ) -> Answer:
        """Call a function of a module of `wire.api` with retries. Return its response.

        The function is `asyncio_detailed`, in `Credits` it is `sync_detailed`.

        Pass an `idempotency_key` to every call that changes something; otherwise a retry may change
        it twice. Raises CreditsError, or httpx.TransportError if no attempt was answered.
        """
        for attempt in range(self._attempts):
            try:
                return cast("Answer", (await send(client=self._wire, **arguments)).parsed)
            # The request may have taken effect. The retry has the same key, so that it takes effect
            # once.
            except (CreditsError, httpx.TransportError) as error:
                is_refused = isinstance(error, CreditsError) and error.retry_after is None
                if is_refused or attempt + 1 == self._attempts:
                    raise
                wait = requests.pause(attempt, getattr(error, "retry_after", None))
            await asyncio.sleep(wait)
        raise ValueError("At least one attempt is required")

    async def use(
        self,
        user_id: str,
        *,
        app_id: str,
        description: str,
        amount: float | None = None,
        operation: str | None = None,
        quantity: int | None = None,
        units: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> models.UseCreditsResponse:
        """Spend the user's credits: `amount`, or the price of an `operation`.

        `units` are the counts of a metered operation, by unit name. A later call with the same
        `key` is a replay. Raises CreditsError, for example with the code `insufficient_credits`.
        """
        cost = Cost(amount, operation, quantity, units)
        body = requests.spend_body(user_id, cost, app_id=app_id, description=description)
        return await self.call(
            internal_use.asyncio_detailed, body=body, idempotency_key=key or str(uuid4())
        )

    def hold(
        self,
        user_id: str,
        *,
        reason: str,
        amount: float | None = None,
        operation: str | None = None,
        quantity: int | None = None,
        units: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> "AsyncHold":
        """Return a context manager that holds credits, then spends them on success.

        `units` are the largest counts that a metered operation is expected to use.
        """
        cost = Cost(amount, operation, quantity, units)
        body = requests.reserve_body(user_id, cost, reason=reason)
        return AsyncHold(self, body, key or str(uuid4()))

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.get_async_httpx_client().aclose()


async def _raise_for_error(response: httpx.Response) -> None:
    """Raise CreditsError before the response is parsed, which only its own format allows."""
    if not requests.is_answer(response):
        await response.aread()
        raise CreditsError(response)


class AsyncHold:
    """Credits held during a block.

    Call `used` in the block to spend another amount, or the units that were used. An exception
    releases the credits. `committed` is the service's answer after the block, or None: for units
    it has the credits that stayed `unpaid`.
    """

    id: UUID
    committed: models.CommitReservationResponse | None = None

    def __init__(self, client: AsyncCredits, body: requests.Reserve, key: str) -> None:
        self._client, self._body, self._key = client, body, key
        self._used: float | Mapping[str, int] | None = None

    def used(self, used: float | Mapping[str, int]) -> None:
        """Spend only this amount of the held credits, or the price of these units.

        0 and an empty mapping spend nothing.
        """
        self._used = used

    async def __aenter__(self) -> Self:
        answer = await self._client.call(
            internal_reserve.asyncio_detailed, body=self._body, idempotency_key=self._key
        )
        self.id = answer.reservation_id
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A commit of 0 is refused, so nothing used means a release.
        if error is not None or self._used in (0, {}):
            await self._client.call(
                internal_release.asyncio_detailed,
                body=models.ReleaseReservationRequest(reservation_id=self.id),
                idempotency_key=f"{self._key}:release",
            )
            return
        self.committed = await self._client.call(
            internal_commit.asyncio_detailed,
            body=requests.commit_body(self.id, self._used),
            idempotency_key=f"{self._key}:commit",
        )
