"""Calls every operation of the API with the client of openapi-python-client.

The generators' Python runs this script with the generated package `mana_client`. The environment
names a running sandbox. The script prints the called operations as JSON.
"""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.request
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from mana_client import AuthenticatedClient, Client
from mana_client import models as m
from mana_client.api import (
    admin,
    anchors,
    credits_,
    gifts,
    internal,
    monitoring,
    statements,
    sync,
    webhooks,
)

URL, ISSUER, STRIPE = os.environ["URL"], os.environ["ISSUER"], os.environ["STRIPE"]
done: list[str] = []


def user(name: str) -> AuthenticatedClient:
    """Return the client of a demo user."""
    request = urllib.request.Request(
        f"{ISSUER}/api/auth/token", json.dumps({"user": name}).encode()
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        token = json.load(answer)["token"]
    return AuthenticatedClient(URL, token=token)


def operation(package: ModuleType, name: str, *path: Any, **arguments: Any) -> Any:
    """Call an operation. Return its response as the generated class."""
    module = __import__(f"{package.__name__}.{name}", fromlist=[name])
    answer = module.sync_detailed(*path, **arguments)
    assert answer.status_code in {200, 201}, (name, answer.status_code, answer.content)
    assert answer.parsed is not None, name
    assert not isinstance(answer.parsed, m.Error), (name, answer.content)
    assert answer.headers["x-request-id"], name
    done.append(name)
    return answer.parsed


def refused(package: ModuleType, name: str, *path: Any, **arguments: Any) -> m.Error:
    """Call an operation that fails. Return the error as the generated class."""
    module = __import__(f"{package.__name__}.{name}", fromlist=[name])
    answer = module.sync_detailed(*path, **arguments)
    assert isinstance(answer.parsed, m.Error), (name, answer.status_code, answer.content)
    return answer.parsed


def spend(alice: AuthenticatedClient) -> None:
    before = operation(credits_, "balance", client=alice).balance
    body = m.UseCreditsByOperationRequest(
        operation="ai_chat_gpt4", app_id="chat", description="GPT-4 message"
    )
    key = f"journey-{time.time()}"
    used = operation(credits_, "use", client=alice, body=body, idempotency_key=key)
    again = operation(credits_, "use", client=alice, body=body, idempotency_key=key)
    assert used.new_balance.balance == before - 5, used
    assert again.transaction.id == used.transaction.id, again
    assert again.message == "Transaction already processed", again
    other = m.UseCreditsByAmountRequest(amount=7, app_id="chat", description="Something else")
    conflict = refused(credits_, "use", client=alice, body=other, idempotency_key=key)
    assert conflict.code == "idempotency_key_reused", conflict
    much = m.UseCreditsByAmountRequest(amount=100_000, app_id="chat", description="A great deal")
    assert refused(credits_, "use", client=alice, body=much).code == "insufficient_credits"
    (last,) = operation(credits_, "transactions", client=alice, limit=1)
    assert (last.id, last.amount) == (used.transaction.id, -5), last
    assert operation(credits_, "usage", client=alice)[0].app_id


def serve(service: AuthenticatedClient) -> None:
    person = "journey-user"
    operation(internal, "internal_init", client=service, body=m.InitBalanceRequest(user_id=person))
    grant = m.GrantRequest(user_id=person, amount=50, reason="welcome", reference_id="signup")
    assert operation(internal, "internal_grant", client=service, body=grant).new_balance == 50
    use = m.ServiceUseCreditsByAmountRequest(
        user_id=person, amount=0.1, app_id="research", description="Search"
    )
    used = operation(internal, "internal_use", client=service, body=use, x_app_id="research")
    item = use.to_dict() | {"idempotencyKey": f"batch-{person}"}
    batch = m.UseBatchRequest(items=[item | {"userId": "nobody"}])
    outcomes = operation(internal, "internal_use_batch", client=service, body=batch).items
    assert [one.outcome for one in outcomes] == ["refused"], outcomes
    refund = m.RefundRequest(
        user_id=person, amount=0.1, description="Failed", transaction_id=used.transaction.id
    )
    refunded = operation(internal, "internal_refund", client=service, body=refund)
    assert refunded.new_balance.balance == 50, refunded
    reserve = m.ReserveByAmountRequest(user_id=person, amount=10, reason="questions:research")
    held = operation(internal, "internal_reserve", client=service, body=reserve).reservation_id
    commit = m.CommitReservationByAmountRequest(reservation_id=held, amount=8)
    assert operation(internal, "internal_commit", client=service, body=commit).balance == 42
    release = m.ReleaseReservationRequest(
        reservation_id=operation(
            internal, "internal_reserve", client=service, body=reserve
        ).reservation_id
    )
    assert operation(internal, "internal_release", client=service, body=release).balance == 42
    seen = operation(internal, "internal_balance", person, client=service)
    assert (seen.balance, seen.held, seen.transactions_count) == (42, 0, 4), seen
    operation(internal, "internal_sync_status", person, client=service)
    operation(internal, "internal_sync_charge_recurring", client=service)
    waiting = m.RedeemPendingGiftsRequest(user_id=person, email="journey@example.test")
    operation(internal, "internal_redeem_pending", client=service, body=waiting)
    assert operation(internal, "internal_erase", person, client=service).deleted_count > 0


def buy(alice: AuthenticatedClient) -> None:
    anybody = Client(URL)
    offer = operation(credits_, "packages", client=anybody)[0]
    assert len(operation(credits_, "operations", client=anybody)) > 10
    assert operation(credits_, "pricing", client=anybody).operation_costs["ai_chat_gpt4"] == 5
    start = m.StartPurchaseInAppRequest(package_id=offer.id)
    started = operation(credits_, "start_purchase", client=alice, body=start)
    purchase = operation(credits_, "purchase", started.purchase_id, client=alice)
    assert purchase.status == "pending", purchase
    assert operation(credits_, "purchases", client=alice)[0].id == purchase.id
    cancelled = operation(credits_, "cancel_purchase", purchase.id, client=alice)
    assert (cancelled.id, cancelled.status) == (purchase.id, "cancelled"), cancelled


def top_up(alice: AuthenticatedClient) -> None:
    in_app = m.SetUpTopUpInAppRequest()
    setup = operation(credits_, "set_up_auto_top_up", client=alice, body=in_app).setup_intent_id
    with urllib.request.urlopen(f"{STRIPE}/setups/{setup}", b"card=card", timeout=10):
        offer = operation(credits_, "packages", client=Client(URL))[0]
    body = m.SaveTopUpBySetupIntentRequest(
        package_id=offer.id, threshold=0.5, monthly_maximum=1, setup_intent_id=setup
    )
    agreed = operation(credits_, "save_auto_top_up", client=alice, body=body)
    assert agreed.agreement.threshold == 0.5, agreed
    assert operation(credits_, "auto_top_up", client=alice).agreement == agreed.agreement
    ended = operation(credits_, "switch_off_auto_top_up", client=alice)
    assert ended.agreement is None, ended


def limit(alice: AuthenticatedClient) -> None:
    app = m.AppLimitRequest(app_id="chat", monthly_limit=2000)
    seen = operation(credits_, "settings", client=alice).version
    body = m.SaveSettingsRequest(low_balance=1, app_limits=[app], version=seen)
    saved = operation(credits_, "save_settings", client=alice, body=body)
    assert [(one.app_id, one.monthly_limit) for one in saved.app_limits] == [("chat", 2000)], saved
    assert operation(credits_, "settings", client=alice) == saved


def look_back(alice: AuthenticatedClient) -> None:
    month = f"{datetime.now(UTC):%Y-%m}"
    sheet = operation(credits_, "statement", month, client=alice)
    assert (sheet.signed, sheet.statement.month) == (True, month), sheet
    assert operation(statements, "statement_keys", client=Client(URL)).keys
    operation(anchors, "anchors", client=Client(URL))
    operation(credits_, "reservations", client=alice)
    assert "createdAt" in operation(credits_, "transactions_csv", client=alice)


def give(alice: AuthenticatedClient, bob: AuthenticatedClient) -> None:
    body = m.CreateGiftSimpleRequest(total_credits=2.5, message="Enjoy")
    gift = operation(gifts, "create_gift", client=alice, body=body)
    seen = operation(gifts, "gift", gift.code, client=Client(URL))
    assert (seen.status, seen.total_credits) == ("active", 2.5), seen
    redeem = m.RedeemGiftRequest()
    arrived = operation(gifts, "redeem_gift", gift.code, client=bob, body=redeem)
    assert arrived.credits_received == 2.5, arrived
    assert operation(gifts, "received_gifts", client=bob)[0].gift_code_id == gift.id
    personal = m.CreateGiftPersonalizedRequest(
        total_credits=1,
        type_=m.CreateGiftPersonalizedRequestType.PERSONALIZED,
        target_email="somebody@example.test",
    )
    other = operation(gifts, "create_gift", client=alice, body=personal)
    assert operation(gifts, "created_gifts", client=alice)[0].id == other.id
    assert operation(gifts, "cancel_gift", other.id, client=alice).refunded_credits == 1


def synchronize(alice: AuthenticatedClient, boss: AuthenticatedClient) -> None:
    body = m.ActivateSyncRequest()
    assert operation(sync, "sync_activate", client=alice, body=body).active
    change = m.ChangeSyncIntervalRequest(interval=m.ChangeSyncIntervalRequestInterval.YEARLY)
    assert operation(sync, "sync_change_interval", client=alice, body=change).interval == "yearly"
    assert operation(sync, "sync_status", client=alice).active
    operation(sync, "sync_deactivate", client=alice)
    assert operation(admin, "admin_sync_give", "demo-alice", client=boss).gifted
    assert operation(admin, "admin_sync_status", "demo-alice", client=boss).gifted
    assert not operation(admin, "admin_sync_revoke", "demo-alice", client=boss).gifted


def hear_from_stripe() -> None:
    moment = int(time.time())
    event = {"id": "evt_journey", "object": "event", "type": "journey.made", "created": moment}
    payload = json.dumps(event, separators=(",", ":"))
    digest = hmac.new(
        os.environ["WEBHOOK_SECRET"].encode(), f"{moment}.{payload}".encode(), hashlib.sha256
    ).hexdigest()
    operation(
        webhooks,
        "stripe_webhook",
        client=Client(URL),
        body=m.StripeWebhookBody.from_dict(event),
        stripe_signature=f"t={moment},v1={digest}",
    )


def probe() -> None:
    assert operation(monitoring, "health", client=Client(URL)).service == "mana-credits"
    assert operation(monitoring, "ready", client=Client(URL)).status == "ready"


def main() -> None:
    """Call every operation once."""
    probe()
    alice, bob, boss = user("demo-alice"), user("demo-bob"), user("demo-admin")
    service = AuthenticatedClient(
        URL, token=os.environ["SERVICE_KEY"], prefix="", auth_header_name="X-Service-Key"
    )
    spend(alice)
    serve(service)
    buy(alice)
    top_up(alice)
    limit(alice)
    look_back(alice)
    give(alice, bob)
    synchronize(alice, boss)
    hear_from_stripe()
    json.dump(sorted(set(done)), sys.stdout)


main()
