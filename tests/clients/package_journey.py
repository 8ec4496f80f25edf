"""The Python package as a service uses it, with lost responses.

The generators' Python runs this script.
"""

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import example
import httpx
from mana_credits_client import AsyncCredits, Credits, CreditsError, InvalidMessage, verify
from mana_credits_client.wire import models
from mana_credits_client.wire.api.internal import internal_balance, internal_grant
from standardwebhooks import Webhook

USER = f"client-{uuid4()}"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def grant(amount: float) -> None:
    """Grant credits by an operation without its own method."""
    body = models.GrantRequest(
        user_id=USER, amount=amount, reason="welcome", reference_id=str(uuid4())
    )
    example.credits.call(internal_grant.sync_detailed, body=body, idempotency_key=str(uuid4()))


def refused() -> None:
    """Check that errors name what is missing."""
    assert example.answer(USER, "why", "1").startswith("insufficient_credits"), USER
    try:
        example.draw(USER, 7)
    except CreditsError as error:
        found = (error.status, error.code, error.details["required"])
    assert found == (402, "insufficient_credits", 10), found


def spend() -> None:
    """Spend and reserve while each first response is lost. Everything moves once."""
    grant(100)
    assert example.answer(USER, "why", "2") == "WHY"
    assert example.answer(USER, "why", "2") == "WHY"  # a replay
    assert example.available(USER) == 95, example.available(USER)
    example.draw(USER, 7)
    assert example.available(USER) == 93.6, example.available(USER)
    hold = example.credits.hold(USER, operation="ai_chat_gpt4", reason="chat")
    with suppress(ZeroDivisionError), hold:
        1 / 0  # noqa: B018  # the work fails, so nothing is spent
    assert example.available(USER) == 93.6, example.available(USER)


def spend_by_units() -> None:
    """Spend and hold units of a metered operation. The hold pays for what was really used."""
    before = example.available(USER)
    metered: Any = {"operation": "ai_context_generation", "units": {"inputTokens": 2000}}
    used = example.credits.use(USER, app_id="context", description="Summary", **metered)
    assert (used.transaction.amount, used.transaction.metering.units["inputTokens"]) == (-0.1, 2000)
    with example.credits.hold(USER, reason="context", **metered) as hold:
        hold.used({"inputTokens": 1000, "outputTokens": 1000})
    assert (hold.committed.amount, hold.committed.unpaid) == (0.3, 0), hold.committed
    with example.credits.hold(USER, reason="context", **metered) as nothing:
        nothing.used({})
    assert nothing.committed is None
    spent = round(before - example.available(USER), 4)
    assert spent == 0.4, spent
    try:
        example.credits.hold(USER, reason="context", amount=1, units={"inputTokens": 1})
    except ValueError:
        return
    raise AssertionError("units need an operation")


async def spend_async() -> None:
    """Spend and reserve concurrently in tasks of one event loop."""
    client = AsyncCredits(os.environ["URL"], os.environ["KEY"])

    async def one() -> None:
        async with client.hold(USER, amount=2, reason="image") as hold:
            hold.used(1)

    await asyncio.gather(*(one() for _ in range(5)))
    await client.use(USER, amount=0.6, app_id="chat", description="Message")
    answer = await client.call(internal_balance.asyncio_detailed, user_id=USER)
    assert answer.balance == 88, answer
    await client.close()


def give_up() -> None:
    """Check that the transport's error is raised if no attempt is answered."""
    try:
        Credits("http://127.0.0.1:9", "key", attempts=2).use(
            USER, amount=1, app_id="a", description="b"
        )
    except httpx.ConnectError:
        return
    raise AssertionError("nobody listens there")


class Page(BaseHTTPRequestHandler):
    """Answers every request with a page, as a proxy does."""

    def do_POST(self) -> None:
        """Answer with a status that the API does not have."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(520)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"Oops")


def proxys_page() -> None:
    """Check that the page of a proxy is an error with its status."""
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.handle_request).start()
        client = Credits(f"http://127.0.0.1:{server.server_port}", "key")
        try:
            client.use(USER, amount=1, app_id="a", description="b")
        except CreditsError as error:
            found = (error.status, error.code, error.details)
    assert found == (520, "unexpected_answer", {}), found


def messages() -> None:
    """Verify signed messages: a valid, a forged and an outdated one."""
    now = datetime.now(UTC)
    body = '{"type":"balance.low"}'

    def headers(moment: datetime) -> dict[str, str]:
        return {
            "Webhook-Id": "m1",
            "Webhook-Timestamp": str(int(moment.timestamp())),
            "Webhook-Signature": Webhook(SECRET).sign("m1", moment, body),
        }

    assert verify(body, headers(now), secret=SECRET) == {"type": "balance.low"}
    for forged, moment in ((body + " ", now), (body, datetime(2026, 1, 1, tzinfo=UTC))):
        try:
            verify(forged, headers(moment), secret=SECRET)
        except InvalidMessage:
            continue
        raise AssertionError(forged)


if __name__ == "__main__":
    refused()
    spend()
    asyncio.run(spend_async())
    spend_by_units()
    give_up()
    proxys_page()
    messages()
