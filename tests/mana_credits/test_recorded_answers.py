"""Responses differ from the earlier service's recorded ones only as the guide says.

`tests/recorded/answers.json` has the earlier service's response to each request below, or only its
status. Ids, times and numbers vary between runs, so only their types are compared. Names and
messages are compared exactly.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.api import Answer, Caller, use
from tests.conftest import gifts_of
from tests.environment import PROVIDER
from tests.factories import give, package
from tests.stripe import Stripe, buy, deliver

pytestmark = pytest.mark.django_db

RECORDED = json.loads((Path(__file__).parents[1] / "recorded" / "answers.json").read_text())
GUIDE = (Path(__file__).parents[2] / "docs" / "moving-over.md").read_text()
EXACT = {"message", "error", "type", "status", "appId", "service", "interval"}
KINDS = {
    "id": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "moment": re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
}


def kind(value: Any) -> str:
    """Return the type of a value, by which two runs are compared."""
    if isinstance(value, str):
        return next((name for name, form in KINDS.items() if form.fullmatch(value)), "text")
    if value is None or isinstance(value, bool):
        return str(value)
    return type(value).__name__.replace("float", "int")


def differences(then: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield the differences of two responses: `+FIELD`, `-FIELD`, `FIELD: THEN → NOW`."""
    if isinstance(then, list) and isinstance(now, list):
        yield from differences(then[0], now[0], path)
    elif isinstance(then, dict) and isinstance(now, dict):
        yield from (f"-{path}{name}" for name in then.keys() - now.keys())
        yield from (f"+{path}{name}" for name in now.keys() - then.keys())
        for name in then.keys() & now.keys() - {"metadata"}:
            yield from differences(then[name], now[name], f"{path}{name}.")
    elif path.split(".")[-2:][0] in EXACT:
        if then != now:
            yield f"{path[:-1]}: {then} → {now}"
    elif kind(then) != kind(now):
        yield f"{path[:-1]}: {kind(then)} → {kind(now)}"


def credits_answers(service: Caller) -> Iterator[tuple[str, Answer]]:
    bob = Caller.with_token(PROVIDER.token("k-bob", email="bob@example.test"))
    spend = use(2, idempotencyKey="k1", metadata={"model": "gpt-4"})
    give("k-bob", 100)
    offer = package(stripe_price_id="price_1")
    yield "balance", bob.get("balance")
    yield "use", bob.post("use", spend)
    yield "use again", bob.post("use", spend)
    yield "use without credits", bob.post("use", use(1000))
    yield "transactions", bob.get("transactions")
    yield "packages", bob.get("packages")
    bought = buy(bob, offer)
    yield "purchase", bought
    yield "purchases", bob.get("purchases")
    yield "purchase of the user", bob.get(f"purchase/{bought.json()['purchaseId']}")
    yield "without a token", Caller({}, prefix="/api/v1/credits/").get("balance")
    yield "with a wrong token", Caller.with_token("x.y.z").get("balance")
    yield "internal balance", service.get("balance/k-bob")


def gift_answers(service: Caller) -> Iterator[tuple[str, Answer]]:
    give("k-ivan", 100)
    ivan, judy = gifts_of("k-ivan", name="Ivan"), gifts_of("k-judy")
    made = ivan.post("/api/v1/gifts", {"totalCredits": 10})
    code = made.json()["code"]
    yield "gift", made
    yield "gift without credits", ivan.post("/api/v1/gifts", {"totalCredits": 1000})
    yield "look-up", ivan.get(code)
    yield "created gifts", ivan.get("me/created")
    yield "redeem", judy.post(f"{code}/redeem", {"sourceAppId": "web"})
    yield "redeem a used gift", gifts_of("k-bob").post(f"{code}/redeem", {})
    yield "received gifts", judy.get("me/received")
    other = ivan.post("/api/v1/gifts", {"totalCredits": 9}).json()["id"]
    yield "cancel", ivan.delete(other)
    ivan.post("/api/v1/gifts", {"totalCredits": 5, "targetEmail": "new@example.test"})
    pending = {"userId": "k-new", "email": "new@example.test"}
    path = "/api/v1/internal/gifts/redeem-pending"
    yield "internal redeem pending", service.post(path, pending)


def sync_answers(service: Caller) -> Iterator[tuple[str, Answer]]:
    def at(prefix: str, user: str, **claims: str) -> Caller:
        token = PROVIDER.token(user, **claims)
        return Caller({"Authorization": f"Bearer {token}"}, prefix=prefix)

    give("k-sync", 100)
    sync = at("/api/v1/sync/", "k-sync")
    admin = at("/api/v1/admin/sync/", "root", role="admin")
    yield "sync status", sync.get("status")
    yield "internal sync status", service.get("/api/v1/internal/sync/status/k-sync")
    yield "admin sync status", admin.get("k-sync")
    yield "sync activate", sync.post("activate", {"interval": "monthly"})
    yield "sync change interval", sync.post("change-interval", {"interval": "yearly"})
    yield "sync deactivate", sync.post("deactivate")
    yield "admin sync gift", admin.post("k-sync/gift")
    yield "admin sync gift by a user", at("/api/v1/admin/sync/", "k-sync").post("k-sync/gift")
    charge = "/api/v1/internal/sync/charge-recurring"
    yield "internal charge recurring", service.post(charge)


def internal_answers(service: Caller) -> Iterator[tuple[str, Answer]]:
    grant = {"userId": "k-u", "amount": 100, "reason": "welcome", "referenceId": "1"}
    yield "internal init", service.post("init", {"userId": "k-new-user"})
    yield "internal use of a user never seen", service.post("use", use(1, userId="k-unseen"))
    yield "internal grant", service.post("grant", grant)
    yield "internal grant again", service.post("grant", grant)
    service.post("use", use(3, userId="k-u"))
    refund = {"userId": "k-u", "amount": 1, "description": "failed"}
    yield "internal refund", service.post("refund", refund)
    hold = {"userId": "k-u", "amount": 8, "reason": "research:openai"}
    for settle, name in (("commit", "commit"), ("refund-reservation", "refund reservation")):
        reserved = service.post("reserve", hold)
        yield "internal reserve", reserved
        body = {"reservationId": reserved.json()["reservationId"]}
        yield f"internal {name}", service.post(settle, body)
    yield "without a service key", Caller({}, prefix=service.prefix).get("balance/k-u")


def stripe_answers() -> Iterator[tuple[str, Answer]]:
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": int(datetime.now(UTC).timestamp()),
        "data": {"object": {"id": "pi_x", "amount": 499, "currency": "eur", "status": "succeeded"}},
    }
    yield "webhook", deliver({**event, "id": "evt_2", "type": "customer.created"})
    yield "webhook of an unknown payment", deliver(event)
    nobody = Caller({}, prefix="/api/v1/webhooks/")
    yield "webhook without a signature", nobody.post("stripe", event)
    yield "webhook with a wrong signature", deliver(event, secret="whsec_another")
    yield "health", nobody.get("/health")


def table(heading: str) -> list[list[str]]:
    """Return the cells of the guide's table below a heading, without its head."""
    lines = GUIDE.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_every_difference_from_a_recorded_answer_is_in_the_guide(
    service: Caller, stripe: Stripe
) -> None:
    now = {
        **dict(credits_answers(service)),
        **dict(gift_answers(service)),
        **dict(sync_answers(service)),
        **dict(internal_answers(service)),
        **dict(stripe_answers()),
    }
    assert now.keys() == RECORDED.keys()
    found = set()
    for name, (status, body) in RECORDED.items():
        if now[name].status_code != status:
            found.add((name, f"{status} → {now[name].status_code}"))
        if body:
            found |= {(name, one) for one in differences(body, now[name].json())}
    errors = {("errors", change) for _, change in found if change in {"+code", "+details"}}
    found = {one for one in found if one[1] not in {"+code", "+details"}} | errors

    listed = table("Compared with recorded answers")

    assert {(name.strip("`"), change.strip("`")) for name, change, _ in listed} == found
    assert all(reason for _, _, reason in listed)
