"""Concurrent spends across a spending limit and a threshold, on real threads and connections."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event
from typing import Any
from unittest.mock import patch

import pytest
from django.db.models import Sum
from pytest_django import Settings

from credits import worker
from credits.controls import account_settings, low_balance
from credits.controls.account_settings import NewSettings
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import (
    AutoTopUp,
    Balance,
    OutboxMessage,
    Package,
    Purchase,
    Reservation,
    SettingsChange,
    Transaction,
)
from credits.payments import packages, top_up_charges
from credits.payments.packages import Offer
from internal_api import service_keys
from internal_api.service_keys import KeyTerms
from mana_credits.service_events import subscriptions
from mana_credits.service_events.models import EventMessage
from tests.api import Caller, at_once, statuses, use
from tests.factories import give
from tests.stripe import Stripe, agree_to_top_up, deliver

pytestmark = pytest.mark.usefixtures("committed")


def save(**wanted: Any) -> None:
    account_settings.save(
        "alice", NewSettings(**wanted), origin=Origin("user"), now=datetime.now(UTC)
    )


def patiently(service: Caller, path: str, body: Any) -> Any:
    """Send the request again while other requests of the account keep the service busy."""
    while (answer := service.post(path, body)).status_code == 503:
        time.sleep(0.05)
    return answer


def test_a_hundred_spends_across_the_limit_never_exceed_it(service: Caller) -> None:
    give("alice", 1000)
    save(monthly_limit=Decimal(30), low_balance=Decimal(980))

    answers = at_once(100, lambda _: patiently(service, "use", use(1, userId="alice")))

    assert statuses(answers) == {200: 30, 402: 70}
    assert {a.json()["code"] for a in answers if a.status_code == 402} == {"spending_limit_reached"}
    assert Balance.objects.get(pk="alice").posted == 970
    outcomes = at_once(4, lambda _: list(low_balance.tell_due(now=datetime.now(UTC), limit=1000)))
    assert sum(outcome.count("told") for outcome in outcomes) == 1
    assert OutboxMessage.objects.count() == 1


@pytest.mark.slow
def test_keys_with_caps_and_a_limit_meet_in_a_storm(service: Caller, settings: Settings) -> None:
    """Two capped keys and the shared one spend across a user's limit; each stops where it must."""
    settings.EVENT_HOSTS = ["chat.example.com"]
    now = datetime.now(UTC)
    subscriptions.create(
        "chat", "https://chat.example.com/", ["spending_limit.reached"], by="ada", now=now
    )
    give("alice", 1000)
    save(monthly_limit=Decimal(50))
    keys = [capped(f"bot-{cap}", cap) for cap in (10, 15)]

    def act(index: int) -> Any:
        caller = keys[index % 4] if index % 4 < 2 else service
        if index % 3 == 0:
            hold = {"userId": "alice", "amount": 1, "reason": "chat:x"}
            return patiently(caller, "reserve", hold)
        if index % 3 == 1:
            return patiently(caller, "use/batch", {"items": [use(1, userId="alice")]})
        return patiently(caller, "use", use(1, userId="alice"))

    at_once(160, act)

    balance = Balance.objects.get(pk="alice")
    assert 1000 - balance.available == 50
    for cap in (10, 15):
        assert taken_by(f"service:bot-{cap}") <= cap
    assert EventMessage.objects.filter(event="spending_limit.reached").count() == 1


def capped(name: str, cap: int) -> Caller:
    """Return a caller with a key that spends at most `cap` credits per user and day."""
    terms = KeyTerms(["use", "reserve"], daily_spend_per_user=Decimal(cap))
    _, secret = service_keys.create(name, terms, by="ada", now=datetime.now(UTC))
    return Caller({"X-Service-Key": secret}, prefix="/api/v1/internal/credits/")


def taken_by(actor: str) -> Decimal:
    """Return what an actor has spent and holds."""
    spent = Transaction.objects.filter(actor=actor, type="usage").aggregate(sum=Sum("amount"))
    held = Reservation.objects.filter(actor=actor).aggregate(sum=Sum("amount"))
    return (held["sum"] or Decimal(0)) - (spent["sum"] or Decimal(0))


def test_spends_holds_and_batches_share_the_limit_of_an_app(service: Caller) -> None:
    give("alice", 1000)
    save(app_limits={"chat": Decimal(30)})

    def act(index: int) -> Any:
        if index % 3 == 0:
            return patiently(service, "use", use(2, userId="alice"))
        if index % 3 == 1:
            hold = {"userId": "alice", "amount": 2, "reason": "chat:x"}
            return patiently(service, "reserve", hold)
        return patiently(service, "use/batch", {"items": [use(2, userId="alice")]})

    at_once(60, act)

    spent = Balance.objects.get(pk="alice").total_spent
    held = sum(Reservation.objects.values_list("amount", flat=True))
    assert spent + held == 30


def test_a_hundred_spends_across_the_threshold_buy_once(
    service: Caller, alice: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 60)
    setup = alice.post("auto-top-up/setup", {}).json()["setupIntentId"]
    stripe.post(f"setups/{setup}")
    body = {"packageId": str(starter.pk), "threshold": 30, "monthlyMaximum": 5}
    assert alice.put("auto-top-up", {**body, "setupIntentId": setup}).status_code == 200

    def act(index: int) -> Any:
        if index % 10 == 0:
            return list(top_up_charges.top_up_due(now=datetime.now(UTC), limit=1000))
        return patiently(service, "use", use(0.5, userId="alice"))

    at_once(100, act)
    at_once(8, lambda _: list(top_up_charges.top_up_due(now=datetime.now(UTC), limit=1000)))
    for event in stripe.events():
        deliver(event)

    assert Purchase.objects.get().status == "completed"
    assert len(stripe.get("payment_intents")["data"]) == 1
    assert Balance.objects.get(pk="alice").posted == 60 - 45 + 500


def test_of_ten_saves_of_one_version_one_takes_effect(alice: Caller) -> None:
    seen = alice.get("settings").json()["version"]

    def save_another(number: int) -> Any:
        while (
            answer := alice.put("settings", {"monthlyLimit": number + 1, "version": seen})
        ).status_code == 503:
            time.sleep(0.05)
        return answer

    answers = at_once(10, save_another)

    assert statuses(answers) == {200: 1, 409: 9}
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    refused = [answer.json()["details"] for answer in answers if answer.status_code == 409]
    assert {one["version"] for one in refused} == {won["version"]}
    assert {one["current"]["monthlyLimit"] for one in refused} == {won["monthlyLimit"]}
    assert SettingsChange.objects.count() == 1


def run(job: str, now: datetime) -> list[str]:
    return list(worker.jobs()[job].steps(now))


@pytest.mark.slow
def test_every_way_down_at_once_tells_and_buys_once(
    service: Caller, alice: Caller, starter: Package, stripe: Stripe
) -> None:
    """Spends, adjustments and the expiry cross the same thresholds while the jobs run."""
    give("alice", 40)
    save(low_balance=Decimal(30))
    setup = alice.post("auto-top-up/setup", {}).json()["setupIntentId"]
    stripe.post(f"setups/{setup}")
    body = {"packageId": str(starter.pk), "threshold": 30, "monthlyMaximum": 5}
    assert alice.put("auto-top-up", {**body, "setupIntentId": setup}).status_code == 200
    give("alice", 20, expires_at=datetime.now(UTC) + timedelta(seconds=1))

    def act(index: int) -> Any:
        now = datetime.now(UTC)
        if index % 6 == 0:
            return run("tell_low_balances", now), run("top_up", now)
        if index % 6 == 1:
            return run("expire_credits", now + timedelta(seconds=2))
        if index % 6 == 2:
            return ledger.adjust("alice", Decimal(-1), memo=Memo(), origin=Origin("operator:o"))
        return patiently(service, "use", use(0.5, userId="alice"))

    at_once(90, act)
    time.sleep(1)  # until the credits have expired
    at_once(8, lambda _: act(1))
    at_once(8, lambda _: act(0))

    assert Balance.objects.get(pk="alice").posted <= 40 + 20 - 15 - 22.5
    assert OutboxMessage.objects.count() == 1
    assert len(stripe.get("payment_intents")["data"]) == 1
    assert Purchase.objects.count() == 1


def test_a_change_of_an_offer_waits_for_a_top_up_that_starts_and_not_the_reverse(
    starter: Package, stripe: Stripe
) -> None:
    agree_to_top_up(stripe, "alice", starter, threshold="10")
    dearer = Offer("Starter", Decimal(500), 599, sort_order=1)

    locked = Event()

    def slow_balance(user_id: str) -> Any:
        locked.set()
        time.sleep(0.3)  # the other thread reaches the lock
        return ledger.balance_of(user_id)

    def act(index: int) -> None:
        if index:
            assert locked.wait(timeout=30)
            packages.change(starter.pk, dearer, actor="operator:o", now=datetime.now(UTC))
            return
        with patch("credits.ledger.balance_of", side_effect=slow_balance):
            list(top_up_charges.top_up_due(now=datetime.now(UTC), limit=10))

    at_once(2, act)

    assert Purchase.objects.get().price_euro_cents == 499
    assert run("top_up", datetime.now(UTC)) == ["paused"]
    assert AutoTopUp.objects.get().pause_reason == "offer_changed"
