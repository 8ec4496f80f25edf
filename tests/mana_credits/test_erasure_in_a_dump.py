"""After an erasure, a dump contains neither the person's id nor address nor name."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from credits import worker
from credits.controls import account_settings
from credits.controls.account_settings import NewSettings
from credits.ledger import campaign_grants, grant_files, ledger_checks
from credits.ledger.posting import Origin
from credits.models import (
    ActRequest,
    ErasureRequest,
    GrantCampaign,
    Package,
    PostponedRow,
    Purchase,
    StripeCustomer,
    Transaction,
)
from credits.outbox import outbox
from credits.payments import refund_requests
from credits.worker import Job
from gifts import campaigns, codes
from gifts.campaigns import CampaignPlan
from gifts.codes import GiftUnknown
from gifts.models import GiftBlock, GiftCode
from gifts.throttle import Attempt
from mana_credits.api import tokens
from mana_credits.back_office.acts import balance_adjustments, looks
from mana_credits.back_office.acts.audit import Justification, Operator
from mana_credits.dev.embedded_postgres import program
from mana_credits.service_events import event_types, subscriptions
from tests.api import Caller, use
from tests.books import discrepancies
from tests.conftest import gifts_of
from tests.environment import PROVIDER
from tests.factories import gift, give, hold, redeem, spend, subscribe
from tests.owner import as_owner
from tests.running import database_of_the_test
from tests.stripe import Stripe, deliver
from webhooks.models import StripeEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("committed")]

DORA = "0d9f6c1e-5a6b-4c3d-8e2f-dora00000001"
EMAIL = "Dora.Who@example.test"
NAME = "Dora Unmistakable"
NOW = datetime.now(UTC)
TRACES = re.compile(f"{DORA}|{re.escape(EMAIL)}|{NAME}|unmistakable|trace-", re.IGNORECASE)


def dump() -> str:
    """Return a dump of the test's database by the embedded server's or Debian's pg_dump."""
    command = [str(program("pg_dump")), database_of_the_test()]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()


def tables_with_traces() -> set[str]:
    """Return the tables whose rows in a dump still identify the person."""
    found, table = set(), ""
    for line in dump().splitlines():
        if start := re.match(r"COPY (\S+) ", line):
            table = start[1]
        if TRACES.search(line):
            found.add(table)
    return found


def spend_and_hold(service: Caller) -> None:
    """Grant, spend, refund and reserve as services, with texts and keys."""
    named = {"userId": DORA}
    texts = {"description": "trace-text", "metadata": {"mail": EMAIL, "who": [NAME]}}
    headers = {"X-Request-Id": "trace-request"}
    service.post(
        "grant", {**named, "amount": 500, "reason": "trace-why", "referenceId": "trace-1"}, headers
    )
    service.post("use", use(10, **{**named, **texts}, idempotencyKey="trace-key"), headers)
    usage = Transaction.objects.get(type="usage")
    refund = {**named, **texts, "amount": 1, "transactionId": str(usage.pk)}
    service.post("refund", refund, headers)
    service.post("reserve", {**named, "amount": 5, "reason": "chat:trace-hold"}, headers)
    give(DORA, 10, expires_at=NOW + timedelta(days=9))
    spend(DORA, 1)
    service.post("commit", {"reservationId": str(hold(DORA, 3).pk), "description": "trace-commit"})
    subscribe(DORA, at=NOW)
    limits = NewSettings(Decimal(1), Decimal(10_000), {"trace-app": Decimal(10_000)})
    account_settings.save(DORA, limits, origin=Origin("user"), now=NOW)
    with transaction.atomic():
        outbox.tell(DORA, {"userId": DORA, "body": f"Hello {NAME}"}, key=f"told:{DORA}", now=NOW)


def buy_and_be_refunded(stripe: Stripe, starter: Package) -> None:
    """Buy at Checkout and get a refund, with all of Stripe's events."""
    dora = Caller.with_token(PROVIDER.token(DORA, email=EMAIL))
    pages = {"successUrl": f"http://localhost:5173/{DORA}", "cancelUrl": "http://localhost:5173/no"}
    card = {"setupIntentId": dora.post("auto-top-up/setup", {}).json()["setupIntentId"]}
    stripe.post(f"setups/{card['setupIntentId']}")
    wanted = {"packageId": str(starter.pk), "threshold": 0, "monthlyMaximum": 1}
    assert dora.put("auto-top-up", wanted | card).status_code == 200
    bought = dora.post("purchase", {"packageId": str(starter.pk), **pages}).json()
    stripe.pay(bought["purchaseId"])
    for event in stripe.get("events", limit=1000)["data"]:
        deliver(event)
    purchase = Purchase.objects.get()
    charge = {"id": "ch_1", "billing_details": {"email": EMAIL, "name": NAME}}
    deliver(event_of("evt_charge", "charge.updated", charge))
    with patch("webhooks.handlers.purchases.complete", side_effect=RuntimeError(f"of {DORA}")):
        intent = stripe.get("payment_intents")["data"][0]
        deliver(
            event_of("evt_late", "payment_intent.succeeded", {**intent, "receipt_email": EMAIL})
        )
    refund_requests.refund(
        purchase.pk,
        cents=100,
        reason=f"trace-reason {NAME}",
        origin=Origin("operator:olga", key="trace-refund"),
        now=NOW,
    )


def event_of(event_id: str, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": kind,
        "created": int(NOW.timestamp()),
        "data": {"object": thing},
    }


def give_and_receive() -> None:
    """Create, redeem, cancel and receive gifts, pay for a campaign, mistype a code."""
    dora = gifts_of(DORA, name=NAME, email=EMAIL)
    dora.post("/api/v1/gifts", {"totalCredits": 7, "message": f"trace-message of {NAME}"})
    redeem(GiftCode.objects.get(), "frank")
    dora.post("/api/v1/gifts", {"totalCredits": 8, "message": "trace-open"})
    give("frank", 100)
    redeem(gift("frank", 9, target_email=EMAIL, message=f"Dear {NAME}"), DORA, EMAIL)
    frank = gifts_of("frank", name="Frank", email="frank@example.test")
    frank.post(
        "/api/v1/gifts",
        {
            "totalCredits": 6,
            "type": "personalized",
            "targetEmail": EMAIL,
            "message": f"For {NAME}",
            "idempotencyKey": "franks-key",
        },
    )
    with pytest.raises(GiftUnknown):
        codes.find("AAAA-BBBB-CCCC", guesser=Attempt("192.0.2.1", DORA), now=NOW)
    plan = CampaignPlan(
        2,
        Decimal(5),
        expires_at=NOW + timedelta(days=9),
        actor="operator:olga",
        account_id=DORA,
        message=f"trace-fair of {NAME}",
        creator_name=NAME,
    )
    list(campaigns.make_codes(campaigns.start("fair", plan, now=NOW), now=NOW))


def be_helped() -> None:
    """Adjust the balance, request two acts and block from gifts, as operators."""
    ActRequest.objects.create(
        kind="reversal",
        subject=f"transaction:{uuid4()}",
        user_id=DORA,
        summary="Reverse a movement of 500 credits",
        note=f"{NAME} called",
        status="rejected",
        requested_by="olga",
        requested_at=NOW,
        decided_by="otto",
        decided_at=NOW,
    )
    olga = Operator("olga", lambda permission: True, request_id="trace-help")
    for amount in (5, 5_000):
        balance_adjustments.adjust(
            olga,
            DORA,
            Decimal(amount),
            why=Justification("goodwill", f"{NAME} called", f"https://tickets.test/{DORA}"),
            key=uuid4(),
            now=NOW,
        )
    file = grant_files.parse(f"user_id,credits\n{DORA},5\n".encode(), "x")
    for name, again in (("done", False), ("waiting", True)):
        grants = GrantCampaign(
            id=uuid4(), name=name, again=again, state="running", asked_by="olga", asked_at=NOW
        )
        campaign_grants.store(grants, file)
        if name == "done":
            list(campaign_grants.post(grants, now=NOW))
    ActRequest.objects.create(
        kind="gift_campaign",
        subject="gift_campaign:x",
        user_id=DORA,
        arguments={"account_id": DORA, "creator_name": NAME},
        summary="Gift campaign x",
        note="",
        status="rejected",
        requested_by="olga",
        requested_at=NOW,
        decided_by="otto",
        decided_at=NOW,
    )
    GiftBlock.objects.create(user_id=DORA, by="olga", why=f"{NAME} guessed codes", since=NOW)


def fail_at_a_job() -> None:
    def job(now: datetime) -> Any:
        raise RuntimeError(f"Key (user_id)=({DORA}) already exists.")

    with pytest.raises(RuntimeError):
        worker.run(Job("some_job", job), now=NOW)
    PostponedRow.objects.create(
        user_id=DORA, job="some_job", row_id=DORA, attempts=1, due_at=NOW, error=f"({DORA})"
    )


def be_checked() -> None:
    assert all(
        not batch.discrepancies for batch in ledger_checks.check(ledger_checks.full_check(now=NOW))
    )


@pytest.fixture
def dora(service: Caller, starter: Package, stripe: Stripe, settings: Any) -> str:
    """Return the id of a user who has used every feature."""
    settings.EVENT_HOSTS = ["chat.example.com"]
    subscriptions.create(
        "chat", "https://chat.example.com/events", event_types.ALL, by="ada", now=NOW
    )
    spend_and_hold(service)
    buy_and_be_refunded(stripe, starter)
    give_and_receive()
    be_helped()
    looks.search(Operator("olga", lambda permission: True), "unmistakable", [DORA])
    fail_at_a_job()
    be_checked()
    tokens.seen_users.write()
    ErasureRequest.objects.create(pk=DORA, known_rows=1, requested_at=NOW)
    return DORA


WHERE = {
    "credits.account_settings",
    "credits.act_requests",
    "credits.adjustment_requests",
    "credits.auto_top_ups",
    "credits.balances",
    "credits.campaign_grants",
    "credits.checked_balances",
    "credits.contacts",
    "credits.credit_lots",
    "credits.erasure_requests",
    "credits.event_messages",
    "credits.idempotency_keys",
    "credits.job_runs",
    "credits.lot_uses",
    "credits.outbox",
    "credits.postponed_rows",
    "credits.purchases",
    "credits.reservations",
    "credits.returns",
    "credits.settings_changes",
    "credits.spending_limits",
    "credits.staff_actions",
    "credits.stripe_customers",
    "credits.stripe_events",
    "credits.sync_subscriptions",
    "credits.transactions",
    "credits.usage_stats",
    "gifts.gift_blocks",
    "gifts.gift_campaigns",
    "gifts.gift_codes",
    "gifts.gift_misses",
    "gifts.gift_redemptions",
}


# Tables without personal data. Every other table must be in WHERE; otherwise its erasure is
# missing.
NOT_ABOUT_PEOPLE = {
    "credits.event_subscriptions",
    "credits.service_keys",
    "credits.service_totals",
    "credits.anchors",
    "credits.contact_erasures",  # a keyed digest of the user id
    "credits.grant_campaigns",
    "credits.daily_revenue",
    "credits.daily_totals",
    "credits.ledger_checks",
    "credits.operation_prices",
    "credits.operations",
    "credits.package_changes",
    "credits.packages",
}


def test_every_table_was_thought_of() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT schemaname || '.' || tablename FROM pg_tables
               WHERE schemaname IN ('credits', 'gifts')"""
        )
        tables = {name for (name,) in cursor.fetchall()}

    assert tables == WHERE | NOT_ABOUT_PEOPLE


def test_the_command_leaves_no_trace(dora: str) -> None:
    before = tables_with_traces()

    call_command("erase_user", dora, "--apply", stdout=StringIO())

    assert before == WHERE
    assert tables_with_traces() == set()
    assert discrepancies() == []


@pytest.mark.slow
def test_the_request_of_another_service_leaves_no_trace(service: Caller, dora: str) -> None:
    answer = service.delete(f"balance/{dora}")

    assert answer.status_code == 200
    assert answer.json()["deletedCount"] > 40
    assert tables_with_traces() == set()


@pytest.mark.slow
def test_addresses_can_be_named(dora: str) -> None:
    gift("frank", 3, target_email="dora.unmistakable@other.test")

    call_command(
        "erase_user", dora, "--email=Dora.Unmistakable@other.test", "--apply", stdout=StringIO()
    )

    assert tables_with_traces() == set()
    assert set(GiftCode.objects.exclude(campaign=None).values_list("status", flat=True)) == {
        "cancelled"
    }


@pytest.mark.slow
def test_an_address_that_stripe_knows_is_the_persons(dora: str) -> None:
    StripeCustomer.objects.filter(user_id=dora).update(email="unmistakable@other.test")
    gift("frank", 3, target_email="Unmistakable@other.test")

    call_command("erase_user", dora, "--apply", stdout=StringIO())

    assert tables_with_traces() == set()


@pytest.mark.slow
@pytest.mark.breaks_the_books
def test_books_that_do_not_close_are_told(dora: str) -> None:
    with connection.cursor() as cursor, as_owner():
        cursor.execute("UPDATE credits.balances SET last_number = 99 WHERE user_id = %s", [dora])

    with pytest.raises(CommandError, match="1 discrepancy"):
        call_command("erase_user", dora, "--apply", stdout=StringIO(), stderr=StringIO())

    assert tables_with_traces() == set()


@pytest.mark.slow
def test_what_stripe_says_afterwards_leaves_none_either(
    service: Caller, dora: str, stripe: Stripe
) -> None:
    service.delete(f"balance/{dora}")

    (intent,) = stripe.get("payment_intents")["data"]
    deliver(event_of("evt_again", "payment_intent.succeeded", intent))
    list(worker.jobs()["process_stripe_events"].steps(NOW))

    assert tables_with_traces() == set()
    assert not StripeEvent.objects.filter(processed_at=None).exists()
    assert Transaction.objects.filter(type="purchase").count() == 1


@pytest.mark.slow
def test_a_dry_run_changes_nothing(dora: str) -> None:
    before = dump()
    out = StringIO()

    call_command("erase_user", dora, stdout=out)

    lines = out.getvalue().splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(("balances", "purchases"))] == [
        "1",
        "1",
    ]
    assert lines[-1] == "Nothing was changed. Use --apply to erase these rows."
    assert without_sequences(dump()) == without_sequences(before)


@pytest.mark.slow
def test_erasing_an_unknown_user_changes_nothing(dora: str) -> None:
    out = StringIO()

    call_command("erase_user", "nobody", "--apply", stdout=out)

    assert out.getvalue() == "This user is unknown.\n"
    assert tables_with_traces() == WHERE


def without_sequences(text: str) -> str:
    """Return a dump without its variable parts: counters and a random key."""
    return re.sub(r"^(SELECT pg_catalog.setval|\\(un)?restrict).*$", "", text, flags=re.MULTILINE)


@pytest.mark.slow
def test_an_export_has_all_of_it(dora: str, tmp_path: Path) -> None:
    path = tmp_path / "dora.json"
    out = StringIO()

    call_command("export_user", dora, "--output", str(path), stdout=out)

    document = json.loads(path.read_text())
    rows = {name: len(some) for name, some in document.items() if isinstance(some, list)}
    assert document["user_id"] == DORA
    assert set(rows) == {
        "balances",
        "transactions",
        "reservations",
        "lots_that_expire",
        "uses_of_lots",
        "purchases",
        "contacts",
        "returns",
        "customers_at_stripe",
        "subscriptions",
        "settings",
        "spending_limits",
        "automatic_top_ups",
        "changes_of_settings",
        "usage_statistics",
        "idempotency_keys",
        "adjustments",
        "requested_acts",
        "staff_actions",
        "messages",
        "events_told",
        "stripe_events",
        "gifts_created",
        "gifts_redeemed",
        "gifts_addressed",
        "campaigns",
        "campaign_grants",
        "gift_blocks",
    }
    assert min(rows.values()) == 1
    assert rows["transactions"] == Transaction.objects.filter(user_id=DORA).count()
    assert document["transactions"][0]["amount"] == "500.0000"
    assert "client_secret" not in document["purchases"][0]
    assert path.stat().st_mode & 0o777 == 0o600
    assert "frank@" not in path.read_text()
