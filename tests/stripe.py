"""Stripe for tests: the sandbox's, with events signed and delivered by the test."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import requests
from django.core.management import call_command

from credits.ledger import ledger
from credits.ledger.posting import Origin
from credits.models import AutoTopUp, Package, Purchase
from credits.payments import auto_top_up
from credits.payments.auto_top_up import Agreement
from tests.api import Answer, Caller

SECRET = "whsec_the_tests_7Qm2xK9vTz4L"
NEXT_SECRET = "whsec_the_next_one_c8Rw5Hn3"
WEBHOOK = "/api/v1/webhooks/stripe"
PAGES = {"successUrl": "http://localhost:5173/ok", "cancelUrl": "http://localhost:5173/no"}
Object = dict[str, Any]


class Stripe:
    """The sandbox's Stripe, with the acts of buyers, banks and its operators."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = "Bearer sk_test_0123456789"

    def get(self, path: str, **params: Any) -> Any:
        """Return the object at `path` below /v1/."""
        answer = self._session.get(f"{self.url}/v1/{path}", params=params)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **data: Any) -> Any:
        """Post a form to `path`. Return the response's JSON."""
        return self._session.post(f"{self.url}/{path}", data=data).json()

    def delete(self, path: str) -> None:
        """Delete the object at `path` below /v1/."""
        self._session.delete(f"{self.url}/v1/{path}").raise_for_status()

    def pay(self, name: str, method: str = "card") -> Object:
        """Pay a purchase, payment intent or session."""
        paid: Object = self.post(f"pay/{name}", method=method)
        return paid

    def refund(self, intent_id: str, **data: Any) -> Object:
        """Refund at Stripe, bypassing the service."""
        refund: Object = self.post("v1/refunds", payment_intent=intent_id, **data)
        return refund

    def events(self) -> list[Object]:
        """Return all events about payments except receipts, oldest first."""
        found: list[Object] = self.get("events", limit=1000)["data"]
        others = ("customer.", "charge.succeeded")
        return [event for event in found if not event["type"].startswith(others)]

    def receipts(self) -> list[Object]:
        """Return the events with receipts, oldest first."""
        found: list[Object] = self.get("events", limit=1000)["data"]
        return [event for event in found if event["type"] == "charge.succeeded"]


def agree_to_top_up(
    stripe: Stripe, user_id: str, offer: Package, *, threshold: str = "10", card: str = "card"
) -> AutoTopUp:
    """Save one of the sandbox's cards for the user and switch the top-up on, 3 times a month."""
    now = datetime.now(UTC)
    setup = auto_top_up.set_up(user_id, pages=None, email=None, now=now)
    stripe.post(f"setups/{setup.setup_id}", card=card)
    wanted = Agreement(offer.pk, Decimal(threshold), 3, setup.setup_id)
    return auto_top_up.agree(user_id, wanted, origin=Origin("user"), now=now)


def buy(who: Caller, offer: Package, **fields: Any) -> Answer:
    """Start a purchase through the API."""
    return who.post("purchase", {"packageId": str(offer.pk), **fields})


def state(purchase: Purchase) -> Any:
    """Return the status of a purchase, and its buyer's posted credits."""
    purchase.refresh_from_db()
    return purchase.status, float(ledger.balance_of(purchase.user_id).posted)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Make the library retry without a pause."""
    with patch("stripe._http_client.time.sleep"):
        yield


def deliver(
    event: Mapping[str, Any] | bytes,
    *,
    secret: str = SECRET,
    at: float | None = None,
    header: str | None = None,
) -> Answer:
    """Deliver an event as Stripe does, signed with `secret` at the time `at` (default: now)."""
    payload = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
    signed = {"Stripe-Signature": header or sign(payload, secret, at)}
    return Caller({}, prefix="").post(WEBHOOK, payload, headers=signed)


def sign(payload: bytes, secret: str, at: float | None = None) -> str:
    """Return Stripe's signature header for `payload`."""
    moment = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), b"%d.%s" % (moment, payload), hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def reconcile(*options: str) -> int:
    """Run `reconcile_stripe` over the last day. Return its exit code."""
    try:
        call_command("reconcile_stripe", "--since", "1d", *options)
    except SystemExit as end:
        return int(str(end.code))
    return 0
