"""The API description's examples: the service's responses for every operation."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest

from credits.ledger import anchors
from mana_credits.api.examples import FILE
from tests.api import Caller
from tests.declared import operations
from tests.environment import PROVIDER, SERVICE_KEY
from tests.factories import package
from tests.recording import Normalizer
from tests.stripe import SECRET, Stripe, sign

pytestmark = pytest.mark.django_db

ALICE = {"userId": "alice"}


def user(name: str, **claims: Any) -> Caller:
    token = PROVIDER.token(name, email=f"{name}@example.test", **claims)
    return Caller({"Authorization": f"Bearer {token}"}, prefix="/api/v1/")


class Recorder:
    """Sends requests and records one example per operation."""

    def __init__(self) -> None:
        self.examples: dict[str, Any] = {}
        self.normalize = Normalizer()

    def __call__(self, operation: str, who: Caller, path: str, body: Any = None) -> Any:
        """Send the operation's request. Return the response."""
        _, method, described = operations()[operation]
        act = {"get": who.get, "delete": who.delete}.get(method)
        send = who.put if method == "put" else who.post
        answer = act(path) if act else send(path, body)
        is_json = answer["Content-Type"] == "application/json"
        data = answer.json() if is_json else answer.content.decode()
        assert answer.status_code < 300, data
        if isinstance(data, dict) and "code" in data:
            self.normalize.learn(data["code"])
        request = {"request": self.normalize(body)} if "requestBody" in described else {}
        self.examples[operation] = {
            **request,
            "status": answer.status_code,
            "response": self.normalize(data),
        }
        return data


def credits_of_a_user(record: Recorder, alice: Caller, service: Caller) -> None:
    internal = "internal/credits/"
    record("internal_init", service, internal + "init", ALICE)
    record(
        "internal_grant",
        service,
        internal + "grant",
        ALICE | {"amount": 500, "reason": "welcome", "referenceId": "signup-1"},
    )
    record("internal_balance", service, internal + "balance/alice")
    record("balance", alice, "credits/balance")
    record(
        "use",
        alice,
        "credits/use",
        {
            "operation": "ai_chat_gpt4",
            "appId": "chat",
            "description": "GPT-4 message",
            "metadata": {"model": "gpt-4"},
            "idempotencyKey": "chat-1",
        },
    )
    limits = {"lowBalance": 50, "monthlyLimit": 200}
    app_limits = [{"appId": "chat", "monthlyLimit": 100}]
    record("save_settings", alice, "credits/settings", limits | {"appLimits": app_limits})
    record("settings", alice, "credits/settings")
    used = record(
        "internal_use",
        service,
        internal + "use",
        ALICE | {"amount": 2, "appId": "research", "description": "Search"},
    )
    record(
        "internal_use_batch",
        service,
        internal + "use/batch",
        {
            "items": [
                ALICE
                | {
                    "amount": 1,
                    "appId": "chat",
                    "description": "GPT-4 message",
                    "idempotencyKey": "batch-1",
                },
                {"userId": "nobody", "amount": 1, "appId": "chat", "description": "GPT-4 message"},
            ]
        },
    )
    record(
        "internal_refund",
        service,
        internal + "refund",
        ALICE
        | {
            "amount": 1.5,
            "appId": "research",
            "description": "Half of the results",
            "transactionId": used["transaction"]["id"],
            "idempotencyKey": "refund-1",
        },
    )
    record("transactions", alice, "credits/transactions?limit=2")
    record("transactions_csv", alice, "credits/transactions.csv?type=usage&appId=research")
    record("usage", alice, "credits/usage")
    record("statement", alice, f"credits/statements/{datetime.now(UTC):%Y-%m}")
    record("statement_keys", Caller({}, prefix="/api/v1/"), "statements/keys")


def reservations(record: Recorder, service: Caller) -> None:
    internal = "internal/credits/"
    reserve = ALICE | {"amount": 10, "reason": "questions:deep-research", "ttlSeconds": 900}
    held = record("internal_reserve", service, internal + "reserve", reserve)
    record("reservations", user("alice"), "credits/reservations")
    record(
        "internal_commit",
        service,
        internal + "commit",
        {
            "reservationId": held["reservationId"],
            "amount": 8,
            "description": "Deep research",
        },
    )
    held = service.post(internal + "reserve", reserve).json()
    record(
        "internal_release",
        service,
        internal + "refund-reservation",
        {"reservationId": held["reservationId"]},
    )


def purchases(record: Recorder, alice: Caller, stripe: Stripe) -> None:
    offer = package(stripe_price_id="price_1", description="For a month of chats")
    anybody = Caller({}, prefix="/api/v1/")
    for operation in ("packages", "operations", "pricing"):
        record(operation, anybody, f"credits/{operation}")
    list(anchors.make_due(now=datetime(2026, 11, 23, 2, tzinfo=UTC)))
    record("anchors", anybody, "anchors")
    started = record("start_purchase", alice, "credits/purchase", {"packageId": str(offer.pk)})
    stripe.pay(started["purchaseId"])
    (event,) = [one for one in stripe.events() if one["type"] == "payment_intent.succeeded"]
    payload = json.dumps(event).encode()
    answer = Caller({"Stripe-Signature": sign(payload, SECRET)}, prefix="/api/v1/").post(
        "webhooks/stripe", payload
    )
    record.examples["stripe_webhook"] = {
        "request": {"id": "evt_example", "object": "event", "type": event["type"]},
        "status": answer.status_code,
        "response": answer.json(),
    }
    record("purchase", alice, f"credits/purchase/{started['purchaseId']}")
    record("purchases", alice, "credits/purchases")
    left = alice.post("credits/purchase", {"packageId": str(offer.pk)}).json()
    record("cancel_purchase", alice, f"credits/purchase/{left['purchaseId']}/cancel", {})


def gifts(record: Recorder, alice: Caller, service: Caller) -> None:
    bob = user("bob")
    made = record("create_gift", alice, "gifts", {"totalCredits": 25, "message": "Enjoy"})
    record("gift", Caller({}, prefix="/api/v1/"), f"gifts/{made['code']}")
    record("redeem_gift", bob, f"gifts/{made['code']}/redeem", {"sourceAppId": "web"})
    record("received_gifts", bob, "gifts/me/received")
    again = alice.post("gifts", {"totalCredits": 10}).json()
    record("cancel_gift", alice, f"gifts/{again['id']}")
    record.normalize.learn(again["code"])
    waiting = {"totalCredits": 5, "type": "personalized", "targetEmail": "kate@example.test"}
    record.normalize.learn(alice.post("gifts", waiting).json()["code"])
    record("created_gifts", alice, "gifts/me/created")
    record(
        "internal_redeem_pending",
        service,
        "internal/gifts/redeem-pending",
        {"userId": "kate", "email": "kate@example.test"},
    )


def auto_top_up(record: Recorder, alice: Caller, stripe: Stripe) -> None:
    offer = package()
    setup = record("set_up_auto_top_up", alice, "credits/auto-top-up/setup", {})["setupIntentId"]
    stripe.post(f"setups/{setup}")
    wanted = {"packageId": str(offer.pk), "threshold": 10, "monthlyMaximum": 2}
    record("save_auto_top_up", alice, "credits/auto-top-up", wanted | {"setupIntentId": setup})
    record("auto_top_up", alice, "credits/auto-top-up")
    record("switch_off_auto_top_up", alice, "credits/auto-top-up")


def cloud_sync(record: Recorder, alice: Caller, service: Caller) -> None:
    admin = user("admin", role="admin")
    record("sync_activate", alice, "sync/activate", {"interval": "monthly"})
    record("sync_change_interval", alice, "sync/change-interval", {"interval": "yearly"})
    record("sync_status", alice, "sync/status")
    record("internal_sync_status", service, "internal/sync/status/alice")
    record("internal_sync_charge_recurring", service, "internal/sync/charge-recurring")
    record("sync_deactivate", alice, "sync/deactivate")
    record("admin_sync_give", admin, "admin/sync/alice/gift")
    record("admin_sync_status", admin, "admin/sync/alice")
    record("admin_sync_revoke", admin, "admin/sync/alice/gift")


@pytest.fixture
def examples(stripe: Stripe) -> dict[str, Any]:
    record = Recorder()
    alice = user("alice")
    service = Caller({"X-Service-Key": SERVICE_KEY}, prefix="/api/v1/")
    credits_of_a_user(record, alice, service)
    reservations(record, service)
    purchases(record, alice, stripe)
    auto_top_up(record, alice, stripe)
    gifts(record, alice, service)
    cloud_sync(record, alice, service)
    for probe in ("health", "ready"):
        record(probe, Caller({}, prefix="/"), probe)
    record("internal_erase", service, "internal/credits/balance/bob")
    return record.examples


def test_the_examples_equal_the_services_responses(examples: dict[str, Any]) -> None:
    if os.environ.get("RECORD_EXAMPLES"):
        text = json.dumps(examples, indent=1, sort_keys=True, ensure_ascii=False)
        FILE.write_text(text + "\n")

    assert json.loads(FILE.read_text()) == examples


def test_every_operation_has_an_example(examples: dict[str, Any]) -> None:
    assert set(examples) == set(operations())
    for name, (_, _, operation) in operations().items():
        (media,) = operation["responses"][str(examples[name]["status"])]["content"].values()
        assert media["example"] == examples[name]["response"]
