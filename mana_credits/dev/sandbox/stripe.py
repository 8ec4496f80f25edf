"""A Stripe server on loopback: localstripe with additions, and a payment page.

`/v1/…` is Stripe's API. Other routes do what a buyer or a bank does:

- `GET /pay/ID` shows a payment page. `POST /pay/ID` with `method=card` (or declined-card, sepa,
  declined-sepa) pays. ID is that of a payment intent, a Checkout Session or a purchase.
- `GET /cards/ID` shows a page to save a card in a Checkout Session, and `POST /cards/ID` saves it.
- `POST /setups/ID` with `card=card` (or declined-card, owner-card) completes a setup intent.
- `POST /disputes/ID` disputes a payment and withdraws the money. `inquiry=1` opens an inquiry
  instead, `amount` disputes a part. `POST /disputes/ID/won` (or lost, warning_closed) closes the
  dispute and reinstates `reinstated` cents (default: all if won, else none). `lost` after `won`
  withdraws the money again.
- `POST /refunds/ID/failed` makes a refund fail.
"""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from html import escape
from threading import Thread
from typing import Any

from aiohttp import web
from localstripe import resources, webhooks
from localstripe.errors import UserError
from localstripe.resources import Charge, PaymentIntent, Refund, SetupIntent

from mana_credits.dev.sandbox import payment_methods, stripe_cards, stripe_objects
from mana_credits.dev.sandbox.payment_methods import PAYMENT_METHODS, SAVED_CARDS
from mana_credits.dev.sandbox.stripe_cards import SetupSession
from mana_credits.dev.sandbox.stripe_objects import Dispute, Session

with warnings.catch_warnings(action="ignore"):  # aiohttp's, about sync handlers
    from localstripe import server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Reading this dispute fails, so that an event about it cannot be processed.
UNREADABLE_DISPUTE = "dp_demounreadable"
HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sandbox Checkout</title>
<style>
:root { color-scheme: light dark; font: 1.0625rem/1.5 system-ui, sans-serif }
body { max-width: 24rem; margin: 12vh auto; padding: 0 1rem }
button { display: block; width: 100%; margin: .5rem 0; padding: .75rem; font: inherit }
</style>"""
PAGE = """<h1>{amount}</h1>
<p>This page replaces Stripe's Checkout. No money moves.</p>
<form method="post">{buttons}</form>{cancel}"""
RECEIPT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sandbox receipt</title>
<h1>{amount}</h1>
<p>This page replaces Stripe's receipt.</p>"""
BUTTON = '<button name="method" value="{0}">Pay: {0}</button>'
SAVE = '<button name="card" value="{0}">Save: {0}</button>'
CANCEL = '<p><a href="{}">Back without paying</a></p>'
OUTCOME = '<h1>{}</h1><p>{}</p><p><a href="">Back to the payment methods</a></p>'


@contextmanager
def serving(*, port: int = 0, webhook: str = "", secret: str = "") -> Iterator[str]:
    """Serve Stripe on loopback during the context. Yield its URL.

    Signed events go to the URL `webhook`. Without it, events are only listed.
    """
    stripe_objects.extend()
    stripe_cards.extend()
    # A loop in a thread of its own, because the tests and the sandbox are not asynchronous.
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="sandbox-stripe", daemon=True)
    thread.start()
    runner = web.AppRunner(_application(), access_log=None, shutdown_timeout=1)
    try:
        url = asyncio.run_coroutine_threadsafe(_start(runner, port), loop).result()
        Session._pay_at = url
        with telling(webhook, secret):
            yield url
    finally:
        asyncio.run_coroutine_threadsafe(_stop(runner), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        forget()


@contextmanager
def telling(webhook: str, secret: str) -> Iterator[None]:
    """Send signed events to the URL `webhook` during the context. An empty URL sends none."""
    if webhook:
        webhooks.register_webhook("sandbox", webhook, secret, None)
    try:
        yield
    finally:
        webhooks._webhooks.clear()


def forget() -> None:
    """Delete all customers, payments and events."""
    resources.store.clear()


async def _start(runner: web.AppRunner, port: int) -> str:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return f"http://localhost:{runner.addresses[0][1]}"


async def _stop(runner: web.AppRunner) -> None:
    await runner.cleanup()
    # Deliveries of events that are still waiting would otherwise be reported as destroyed tasks.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _application() -> web.Application:
    app = web.Application(middlewares=[server.error_middleware, _authorize])
    app.router.add_get("/pay/{id}", _page)
    app.router.add_post("/pay/{id}", _pay)
    app.router.add_get("/receipts/{id}", _receipt)
    app.router.add_get("/cards/{id}", _card_page)
    app.router.add_post("/cards/{id}", _save_in_checkout)
    app.router.add_post("/setups/{id}", _save_card)
    app.router.add_post("/disputes/{id}", _dispute)
    app.router.add_post("/disputes/{id}/{status}", _close)
    app.router.add_post("/refunds/{id}/failed", _fail_refund)
    sessions = "/v1/checkout/sessions"
    app.router.add_post(sessions, server.api_create(Session, sessions))
    app.router.add_get(f"{sessions}/{{id}}", _plainly(server.api_retrieve(Session, sessions)))
    app.router.add_post(
        f"{sessions}/{{id}}/expire", server.api_extra(Session._api_expire, sessions)
    )
    # localstripe's own route calls the method that `extend` has replaced.
    intents = "/v1/payment_intents"
    app.router.add_post(
        f"{intents}/{{id}}/cancel", server.api_extra(PaymentIntent._api_cancel, intents)
    )
    app.router.add_get("/v1/disputes/{id}", _plainly(server.api_retrieve(Dispute, "/v1/disputes")))
    app.router.add_get("/v1/disputes", _plainly(server.api_list_all(Dispute, "/v1/disputes")))
    for route in server.app.router.routes():
        if route.resource.canonical.startswith("/v1/"):
            handler = route.handler
            app.router.add_route(route.method, route.resource.canonical, _plainly(handler))
    return app


def _plainly(handler: Any) -> Handler:
    """Return localstripe's handler as a coroutine. Some handlers are plain functions."""

    async def answer(request: web.Request) -> web.StreamResponse:
        found = handler(request)
        response: web.StreamResponse = await found if asyncio.iscoroutine(found) else found
        return response

    return answer


@web.middleware
async def _authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith("/v1/") and server.get_api_key(request) is None:
        raise UserError(401, "Unauthorized")
    if request.path.endswith(f"/{UNREADABLE_DISPUTE}"):
        raise UserError(400, "This dispute cannot be read in the API version of the request")
    return await handler(request)


async def _page(request: web.Request) -> web.Response:
    session, intent = _find(request.match_info["id"])
    amount = session.amount_total if session else intent.amount
    text = PAGE.format(
        amount=escape(f"{amount / 100:.2f} EUR"),
        buttons="".join(BUTTON.format(name) for name in PAYMENT_METHODS),
        cancel=CANCEL.format(escape(session.cancel_url)) if session else "",
    )
    return _as_page(text)


async def _pay(request: web.Request) -> web.StreamResponse:
    session, intent = _find(request.match_info["id"])
    form = await request.post()
    if session:
        intent = session._intent()
    in_a_browser = "text/html" in request.headers.get("Accept", "")
    try:
        stripe_objects.pay(intent, str(form.get("method", "card")))
    except UserError as refusal:
        if not in_a_browser:
            raise
        message = escape(refusal.body["error"]["message"])
        return _as_page(OUTCOME.format("Not paid", message), status=refusal.code)
    if session and in_a_browser:
        raise web.HTTPSeeOther(session.success_url)
    if in_a_browser:
        return _as_page(OUTCOME.format("Paid", "The service is notified within a second."))
    return server.json_response({"id": intent.id, "status": intent.status})  # type: ignore[no-any-return]


def _as_page(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=HEAD + text, content_type="text/html", status=status)


async def _receipt(request: web.Request) -> web.Response:
    charge = Charge._api_retrieve(request.match_info["id"])
    amount = escape(f"{charge.amount / 100:.2f} EUR")
    return web.Response(text=RECEIPT.format(amount=amount), content_type="text/html")


async def _card_page(request: web.Request) -> web.Response:
    session: Any = SetupSession._api_retrieve(request.match_info["id"])
    buttons = "".join(SAVE.format(name) for name in SAVED_CARDS)
    cancel = CANCEL.format(escape(session.cancel_url))
    return _as_page(PAGE.format(amount="Save a card", buttons=buttons, cancel=cancel))


async def _save_in_checkout(request: web.Request) -> web.StreamResponse:
    session: Any = SetupSession._api_retrieve(request.match_info["id"])
    session._save(str((await request.post()).get("card", "card")))
    raise web.HTTPSeeOther(session.success_url)


async def _save_card(request: web.Request) -> web.StreamResponse:
    setup = SetupIntent._api_retrieve(request.match_info["id"])
    payment_methods.save_card(setup, str((await request.post()).get("card", "card")))
    return server.json_response(setup._export())  # type: ignore[no-any-return]


async def _dispute(request: web.Request) -> web.StreamResponse:
    _, intent = _find(request.match_info["id"])
    form = await request.post()
    dispute = Dispute(intent, int(str(form.get("amount", 0))), inquiry="inquiry" in form)
    if "inquiry" not in form:
        dispute._withdraw()
    return server.json_response(dispute._export())  # type: ignore[no-any-return]


async def _close(request: web.Request) -> web.StreamResponse:
    dispute: Any = Dispute._api_retrieve(request.match_info["id"])
    reinstated = (await request.post()).get("reinstated")
    dispute._close(request.match_info["status"], int(str(reinstated)) if reinstated else None)
    return server.json_response(dispute._export())  # type: ignore[no-any-return]


async def _fail_refund(request: web.Request) -> web.StreamResponse:
    refund = Refund._api_retrieve(request.match_info["id"])
    stripe_objects.fail_refund(refund)
    return server.json_response(refund._export())  # type: ignore[no-any-return]


def _find(name: str) -> tuple[Session | None, Any]:
    """Return the session and the payment intent with this id, each if it exists."""
    for one in resources.store.values():
        if name in {getattr(one, "id", None), _purchase_of(one)}:
            if isinstance(one, Session):
                intent = one.payment_intent and PaymentIntent._api_retrieve(one.payment_intent)
                return one, intent
            if isinstance(one, PaymentIntent):
                return None, one
    raise UserError(404, "Not Found")


def _purchase_of(one: Any) -> str | None:
    found: str | None = (getattr(one, "metadata", None) or {}).get("purchaseId")
    return found
