"""Histories of purchases: acts of buyer, bank and operator, and the resulting events.

Each history happens once in the sandbox. `Tape` records its events and replays them for other
purchases with other ids, in any order.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple
from unittest.mock import patch
from uuid import uuid4

from credits.ledger.posting import Origin
from credits.models import Balance, Package, Purchase, Transaction
from credits.payments import checkout as buying
from tests.api import Caller
from tests.environment import PROVIDER
from tests.stripe import PAGES, Object, Stripe

_numbers = count()


class End(NamedTuple):
    """The final state of a purchase."""

    status: str
    balance: Decimal
    ledger: Counter[tuple[str, Decimal]]


class History(NamedTuple):
    """The acts on a purchase, and its expected final state.

    Its tape leaves out events of the types `unrecorded`, which reduces the number of orders to
    test.
    """

    act: Callable[[Stripe, str], None]
    status: str
    ledger: tuple[tuple[str, int], ...]
    checkout: bool = False
    unrecorded: str = ""

    @property
    def end(self) -> End:
        """Return the expected final state. Nothing else may have moved."""
        moved = Counter((kind, Decimal(amount)) for kind, amount in self.ledger)
        balance = sum((amount for _, amount in moved.elements()), Decimal(0))
        return End(self.status, balance, moved)


def pay(stripe: Stripe, name: str) -> None:
    stripe.pay(name)


def fail_then_pay(stripe: Stripe, name: str) -> None:
    stripe.pay(name, "declined-card")
    stripe.pay(name)


def refund_in_parts(stripe: Stripe, name: str) -> None:
    intent = stripe.pay(name)["id"]
    stripe.refund(intent, amount=100)
    stripe.refund(intent, amount=400)


def refund_a_part(stripe: Stripe, name: str) -> None:
    stripe.refund(stripe.pay(name)["id"], amount=125)


def dispute_and_win(stripe: Stripe, name: str) -> None:
    stripe.pay(name)
    dispute = stripe.post(f"disputes/{name}")
    stripe.post(f"disputes/{dispute['id']}/won")


def dispute_and_lose(stripe: Stripe, name: str) -> None:
    stripe.pay(name)
    dispute = stripe.post(f"disputes/{name}")
    stripe.post(f"disputes/{dispute['id']}/lost")


def inquire(stripe: Stripe, name: str) -> None:
    stripe.pay(name)
    dispute = stripe.post(f"disputes/{name}", inquiry=1)
    stripe.post(f"disputes/{dispute['id']}/warning_closed")


def refund_that_fails(stripe: Stripe, name: str) -> None:
    refund = stripe.refund(stripe.pay(name)["id"])
    stripe.post(f"refunds/{refund['id']}/failed")


def pay_by_debit(stripe: Stripe, name: str) -> None:
    stripe.pay(name, "sepa")
    _wait_for_the_debit(stripe)


def debit_that_fails(stripe: Stripe, name: str) -> None:
    stripe.pay(name, "declined-sepa")
    _wait_for_the_debit(stripe)


def debit_then_parts_then_failure(stripe: Stripe, name: str) -> None:
    intent = stripe.pay(name, "sepa")["id"]
    _wait_for_the_debit(stripe)
    stripe.refund(intent, amount=100)
    failing = stripe.refund(intent, amount=50)
    stripe.refund(intent, amount=150)
    stripe.post(f"refunds/{failing['id']}/failed")


def _wait_for_the_debit(stripe: Stripe) -> None:
    for _ in range(100):
        if stripe.events()[-1]["type"].endswith(("succeeded", "failed")):
            return
        time.sleep(0.02)
    raise AssertionError("the debit does not end")


BOUGHT = ("purchase", 1000)
WON = History(dispute_and_win, "completed", (BOUGHT, ("clawback", -1000), ("reinstatement", 1000)))
HISTORIES = {
    "paid": History(pay, "completed", (BOUGHT,)),
    "failed, then paid": History(fail_then_pay, "completed", (BOUGHT,)),
    "refunded in two parts": History(
        refund_in_parts,
        "refunded",
        (BOUGHT, ("clawback", -200), ("clawback", -800)),
        unrecorded="charge.refunded",
    ),
    "refunded in part": History(refund_a_part, "partially_refunded", (BOUGHT, ("clawback", -250))),
    "disputed, won": WON._replace(unrecorded="charge.dispute.created"),
    "disputed, lost": History(dispute_and_lose, "disputed", (BOUGHT, ("clawback", -1000))),
    "inquiry": History(inquire, "completed", (BOUGHT,)),
    "refund failed": History(
        refund_that_fails,
        "completed",
        (BOUGHT, ("clawback", -1000), ("reinstatement", 1000)),
    ),
    "checkout by debit": History(pay_by_debit, "completed", (BOUGHT,), checkout=True),
    "checkout by a debit that fails": History(debit_that_fails, "failed", (), checkout=True),
    "debit": History(pay_by_debit, "completed", (BOUGHT,)),
}
PARTS = History(
    debit_then_parts_then_failure,
    "partially_refunded",
    (BOUGHT, ("clawback", -200), ("clawback", -100), ("clawback", -300), ("reinstatement", 100)),
    checkout=True,
)


def start(offer: Package, *, checkout: bool) -> Purchase:
    """Start a purchase of a new user through the API."""
    who = Caller.with_token(PROVIDER.token(f"user-{uuid4()}"))
    body = {"packageId": str(offer.pk), **(PAGES if checkout else {})}
    answer = who.post("purchase", body)
    return Purchase.objects.get(pk=answer.json()["purchaseId"])


def start_unheard(offer: Package, *, checkout: bool) -> Purchase:
    """Start a purchase of a new user without calling the sandbox's Stripe, which is faster."""
    name = uuid4().hex
    intent = {"id": f"pi_{name}", "client_secret": "secret"}
    session = {"id": f"cs_{name}", "url": "http://localhost/pay"}
    with (
        patch("credits.payments.stripe_api.create_customer", return_value=f"cus_{name}"),
        patch("credits.payments.stripe_api.create_intent", return_value=intent),
        patch("credits.payments.stripe_api.create_session", return_value=session),
    ):
        return buying.start(
            f"user-{name}",
            offer.pk,
            pages=buying.ReturnPages(*PAGES.values()) if checkout else None,
            origin=Origin("user"),
            now=datetime.now(UTC),
        )


def end_of(purchase: Purchase) -> End:
    """Return the current state of a purchase."""
    purchase.refresh_from_db()
    entries = Transaction.objects.filter(user_id=purchase.user_id)
    return End(
        purchase.status,
        Balance.objects.get(pk=purchase.user_id).posted,
        Counter(entries.values_list("type", "amount")),
    )


class Tape:
    """The recorded events of a history, for replay with any purchase."""

    def __init__(self, stripe: Stripe, offer: Package, history: History) -> None:
        self.history = history
        self._offer = offer
        self._recorded = start(offer, checkout=history.checkout)
        history.act(stripe, str(self._recorded.pk))
        events = [event for event in stripe.events() if event["type"] != history.unrecorded]
        self._events = json.dumps(events)
        self.length = len(events)

    def copy(self) -> tuple[Purchase, list[Object]]:
        """Return a new purchase and the history's events with its ids."""
        purchase = start_unheard(self._offer, checkout=self.history.checkout)
        text = self._events
        fresh: dict[str, str] = {str(self._recorded.pk): str(purchase.pk)}
        for name in ("stripe_payment_intent_id", "stripe_checkout_session_id"):
            old, new = getattr(self._recorded, name), getattr(purchase, name)
            if old:
                fresh[old] = new
        number = next(_numbers)
        for old in _ids(json.loads(self._events)) - set(fresh):
            fresh[old] = f"{old}x{number}"
        for old, new in fresh.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        return purchase, json.loads(text)


def _ids(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_ids, value.values()))
    if isinstance(value, list):
        return set().union(*map(_ids, value))
    prefixes = ("evt_", "pi_", "ch_", "re_", "dp_", "cs_")
    return {value} if isinstance(value, str) and value.startswith(prefixes) else set()
