"""Stripe is unreachable or does not answer: nothing is lost, and spends work."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from select import select
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command

from credits.ledger.posting import Origin
from credits.models import Package, Purchase
from credits.payments import checkout, stripe_api
from credits.payments.stripe_errors import PaymentUnavailable
from tests import slow_server
from tests.api import Caller, at_once, statuses, use
from tests.factories import give
from tests.stripe import Stripe, buy, no_waiting

pytestmark = pytest.mark.django_db


def test_without_stripe_503_and_a_retry_with_the_key_completes_the_same_purchase(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    working = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        refused = buy(alice, starter, idempotencyKey="k1")
    waiting = Purchase.objects.get()
    settings.STRIPE_API_BASE = working

    answer = buy(alice, starter, idempotencyKey="k1")

    assert refused.status_code == 503
    assert refused["Retry-After"] == "5"
    assert refused.json()["code"] == "payment_unavailable"
    assert (waiting.status, waiting.stripe_payment_intent_id) == ("pending", None)
    assert answer.status_code == 200
    assert answer.json()["purchaseId"] == str(waiting.pk)
    assert Purchase.objects.count() == 1


def test_without_stripe_a_retry_without_a_key_completes_the_same_purchase(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    working = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        buy(alice, starter)
        buy(alice, starter)
    waiting = Purchase.objects.get()
    settings.STRIPE_API_BASE = working

    answers = [buy(alice, starter), buy(alice, starter)]

    assert answers[0].json()["purchaseId"] == str(waiting.pk)
    assert answers[1].json()["purchaseId"] != str(waiting.pk)


def test_a_purchase_that_never_reached_stripe_is_given_up_after_a_day(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    old = datetime.now(UTC) - timedelta(hours=25)
    with (
        patch("credits.payments.stripe_api.create_intent", side_effect=PaymentUnavailable),
        pytest.raises(PaymentUnavailable),
    ):
        checkout.start("alice", starter.pk, pages=None, origin=Origin("user", key="k1"), now=old)

    call_command("reconcile_stripe", "--since", "1d")
    answer = buy(alice, starter, idempotencyKey="k1")

    assert Purchase.objects.get().status == "cancelled"
    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_too_old")
    assert stripe.get("payment_intents")["data"] == []


def test_a_wrong_key_at_stripe_is_no_error_of_the_users(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    settings.STRIPE_SECRET_KEY = "nonsense"

    answer = buy(alice, starter)

    assert answer.status_code == 503


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b"<html>"])
def test_an_answer_that_stripe_did_not_write_is_an_outage(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any, body: bytes
) -> None:
    working = settings.STRIPE_API_BASE

    with slow_server.serving(slow_server.answering(body)) as server:
        settings.STRIPE_API_BASE = server.url
        refused = buy(alice, starter, idempotencyKey="k1")
    settings.STRIPE_API_BASE = working
    answer = buy(alice, starter, idempotencyKey="k1")

    assert (refused.status_code, refused.json()["code"]) == (503, "payment_unavailable")
    assert answer.status_code == 200
    assert Purchase.objects.count() == 1


@pytest.fixture
def silent_stripe(settings: Any) -> Iterator[socket.socket]:
    """Run a Stripe that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings.STRIPE_API_BASE = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield listening


def test_while_calls_wait_in_vain_no_other_is_begun_and_spends_go_on(
    committed: None,
    alice: Caller,
    bob: Caller,
    starter: Package,
    silent_stripe: socket.socket,
    settings: Any,
) -> None:
    settings.BULKHEADS = {**settings.BULKHEADS, "stripe": 1}
    give("bob", 5)
    others: list[socket.socket] = []

    def wait_in_vain() -> Any:
        return buy(alice, starter)

    def come_meanwhile() -> Any:
        called, _ = silent_stripe.accept()
        refused = [buy(bob, starter) for _ in range(10)][-1]
        spent = bob.post("use", use(1))
        others.extend(select([silent_stripe], [], [], 0)[0])
        silent_stripe.close()
        called.close()
        return refused, spent

    with no_waiting():
        failed, (refused, spent) = at_once(2, lambda index: (wait_in_vain, come_meanwhile)[index]())

    assert statuses([failed, refused, spent]) == {503: 2, 200: 1}
    assert (refused["Retry-After"], refused.json()["code"]) == ("5", "payment_unavailable")
    assert others == []


@pytest.mark.parametrize("behave", [slow_server.drip_head, slow_server.drip_body])
@pytest.mark.slow
def test_a_dripping_stripe_is_given_up(
    alice: Caller, starter: Package, settings: Any, behave: slow_server.Behaviour
) -> None:
    started = time.monotonic()

    with (
        slow_server.serving(behave) as server,
        patch("credits.payments.stripe_api.CALL_SECONDS", 1),
    ):
        settings.STRIPE_API_BASE = server.url
        answer = buy(alice, starter)

    assert time.monotonic() - started < 30
    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unavailable")
    assert Purchase.objects.get().status == "pending"


def test_once_the_call_has_ended_the_next_one_is_made(
    alice: Caller, bob: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    working = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        refused = buy(alice, starter)
    settings.STRIPE_API_BASE = working

    settings.BULKHEADS = {**settings.BULKHEADS, "stripe": 1}
    answer = buy(bob, starter)

    assert (refused.status_code, answer.status_code) == (503, 200)


def test_buyers_at_the_same_moment_wait_for_each_other(
    committed: None, alice: Caller, bob: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    waiting = stripe_api._waiting
    # A busy machine may need longer than a second for a call.
    with patch.object(waiting, "patience", waiting.patience * 30):
        buy(alice, starter)  # a fast call, because an earlier test may have left Stripe slow
        settings.BULKHEADS = {**settings.BULKHEADS, "stripe": 1}
        answers = at_once(2, lambda index: buy((alice, bob)[index], starter))

    assert statuses(answers) == {200: 2}, [answer.content for answer in answers]
