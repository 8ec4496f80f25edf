"""The earlier service's faults, provoked again: what happens now is what the guide says.

`tests/recorded/provoked.json` has what the earlier service did. Its keys begin with the number of
the fault. Faults that need concurrent requests, or a server that ends, have tests of their own,
which `provoked_elsewhere.json` names.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from credits.models import Balance, Package, Purchase, SyncSubscription, Transaction
from gifts import expiry
from gifts.models import GiftCode
from tests.api import Caller, use
from tests.conftest import gifts_of
from tests.environment import PROVIDER
from tests.factories import gift, give
from tests.mana_credits.test_recorded_answers import table
from tests.stripe import Stripe, buy, deliver, no_waiting

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[2]
EARLIER = json.loads((ROOT / "tests/recorded/provoked.json").read_text())
ELSEWHERE = json.loads((ROOT / "tests/recorded/provoked_elsewhere.json").read_text())
Outcome = tuple[str, object]
INVALID: list[Any] = [
    *(b"{", b"[]", b"null", b'"x"', b"7", b"", b"\xff"),
    *({}, use(0), use(-1), use(0.00001), use(2**63), use(True), {**use(), "amount": "5"}),
    *({**use(), "appId": 7}, {**use(), "description": "x" * 501}, {**use(), "appId": "a\0"}),
    *({**use(), "metadata": []}, {**use(), "idempotencyKey": "k" * 256}),
]


def person(user_id: str) -> Caller:
    return Caller.with_token(PROVIDER.token(user_id))


def posted(user_id: str) -> float:
    return float(Balance.objects.get(pk=user_id).posted)


def spends(service: Caller) -> Iterator[Outcome]:
    for user_id in ("a", "b"):
        give(user_id, 100)
    a, b = person("a"), person("b")
    a.post("use", use(1, idempotencyKey="k"))
    answer = b.post("use", use(1, idempotencyKey="k"))
    charged = "charged" if posted("b") == 99 else "not charged"
    yield "10: a key that another user has used", f"{answer.status_code}, {charged}"
    answer = a.post("use", use(2, idempotencyKey="k"))
    charged = "charged" if posted("a") != 99 else "not charged"
    yield "11: a key again with another amount", f"{answer.status_code}, {charged}"
    a.post("use", use(1, idempotencyKey=""))
    answer = b.post("use", use(1, idempotencyKey=""))
    yield "11: an empty key by a second user", answer.status_code

    before = posted("a")
    body = {"userId": "a", "amount": 1, "description": "failed", "idempotencyKey": "back"}
    earned = Balance.objects.get(pk="a").total_earned
    service.post("refund", body)
    service.post("refund", body)
    times = {1: "once", 2: "twice"}[int(posted("a") - before)]
    yield "12: a refund again with its key", f"refunded {times}"
    yield "12: a refund of a usage", _total_that_moved("a", earned)

    held = service.post("reserve", {"userId": "a", "amount": 5, "reason": "chat:x"}).json()
    service.post("use", use(1, userId="a"))
    service.post("commit", {"reservationId": held["reservationId"]})
    rows = list(Transaction.objects.filter(user_id="a").order_by("number"))
    pairs = pairwise(rows)
    join = all(one.balance_after == other.balance_before for one, other in pairs)
    yield "14: rows around a reservation", "join" if join else "do not join"


def _total_that_moved(user_id: str, earned: object) -> str:
    raised = Balance.objects.get(pk=user_id).total_earned != earned
    return "raises totalEarned" if raised else "lowers totalSpent"


def bad_input(service: Caller) -> Iterator[Outcome]:
    a = person("a")
    statuses = {a.post("use", body).status_code for body in INVALID}
    yield "25: invalid bodies and fields", ", ".join(map(str, sorted(statuses)))
    yield "25: offset -1", a.get("transactions?offset=-1").status_code
    yield "25: a NUL character in the path", service.get("balance/a%00").status_code
    give("a", 1000)
    items = [use(1, userId="a") for _ in range(250)]
    assert service.post("use/batch", {"items": items}).status_code == 200
    for limit in ("-1", "abc", "1000"):
        answer = a.get(f"transactions?limit={limit}")
        rows = f", {len(answer.json())} rows" if answer.status_code == 200 else ""
        yield f"32: limit={limit}", f"{answer.status_code}{rows}"
    for claim in ("sub", "exp"):
        token = PROVIDER.token("a", **{claim: None})
        answer = Caller.with_token(token).get("balance")
        yield f"34: a token without {claim}", answer.status_code
    answer = a.post("use", use(1, description="x" * 1_000_000))
    yield "35: a description of 1 MB", answer.status_code
    answer = service.get(f"balance/{'x' * 8000}")
    yield "35: a user id of 8,000 characters", answer.status_code
    first, second = (service.get("balance/new").json() for _ in range(2))
    created = Balance.objects.filter(pk="new").exists()
    yield "35: the balance of an unknown user", f"creates {'a' if created else 'no'} row"
    give("new", 1)
    third = service.get("balance/new").json()
    same = first.keys() == second.keys() == third.keys()
    yield "36: the first and the next balance", "have one shape" if same else "differ"


def gifts(service: Caller) -> Iterator[Outcome]:
    give("k-ivan", 100)
    ivan = gifts_of("k-ivan", name=None, email="ivan@example.test")
    judy = gifts_of("k-judy", email="judy@example.test")
    mine = ivan.post("/api/v1/gifts", {"totalCredits": 1}).json()
    personal = {"totalCredits": 1, "type": "personalized", "targetEmail": "kate@example.test"}
    kates = ivan.post("/api/v1/gifts", personal).json()
    answer = judy.post(f"{kates['code']}/redeem", {})
    yield "19: a personalised gift redeemed by somebody else", answer.status_code
    nobody = {"totalCredits": 1, "type": "personalized"}
    answer = ivan.post("/api/v1/gifts", nobody)
    yield "19: a personalised gift without an address", answer.status_code
    yield "20: one's own gift", ivan.post(f"{mine['code']}/redeem", {}).status_code
    name = Caller({}, prefix="/api/v1/gifts/").get(mine["code"]).json()["creatorName"]
    yield "21: the giver's name for strangers", name

    earned = Balance.objects.get(pk="k-ivan").total_earned
    ivan.delete(mine["id"])
    yield "12: a cancelled gift", _total_that_moved("k-ivan", earned)

    pending = {"userId": "k-kate", "email": "KATE@example.test"}
    redeem = "/api/v1/internal/gifts/redeem-pending"
    redeemed = service.post(redeem, pending).json()["redeemed"]
    yield "22: redeem-pending with an address in capitals", f"redeemed {redeemed}"
    past = datetime.now(UTC) - timedelta(days=2)
    old = gift("k-ivan", 1, at=past, days=1, target_email="kate@example.test")
    redeemed = service.post(redeem, pending).json()["redeemed"]
    yield "22: redeem-pending with an expired gift", f"redeemed {redeemed}"
    before = posted("k-ivan")
    list(expiry.expire_due(now=datetime.now(UTC), limit=10))
    back = "credits returned" if posted("k-ivan") == before + 1 else "credits lost"
    status = GiftCode.objects.get(pk=old.pk).status
    yield "22: an expired gift", f"{status}, {back}"
    stranger = Caller({}, prefix="/api/v1/gifts/")
    answers = [stranger.get("ABCDEFGHJK") for _ in range(31)]
    yield "24: the 31st look-up of an invalid code", answers[-1].status_code


def sync(service: Caller) -> Iterator[Outcome]:
    def at(prefix: str, user: str, **claims: str) -> Caller:
        return Caller({"Authorization": f"Bearer {PROVIDER.token(user, **claims)}"}, prefix=prefix)

    give("s", 100)
    own, admin = at("/api/v1/sync/", "s"), at("/api/v1/admin/sync/", "root", role="admin")
    own.post("activate", {"interval": "yearly"})
    own.post("deactivate")
    charged = own.post("activate", {"interval": "yearly"}).json()["amountCharged"]
    name = "15: Cloud Sync off and on inside a paid period"
    yield name, "charged again" if charged else "charged nothing"
    admin.post("s/gift")
    admin.delete("s/gift")
    active = own.get("status").json()["active"]
    name = "15: Cloud Sync given over a paid period, then revoked"
    yield name, "active" if active else "inactive"

    due = datetime.now(UTC) - timedelta(days=2)
    SyncSubscription.objects.create(
        user_id="poor",
        renews=True,
        anchor_day=due.day,
        paid_from=due - timedelta(days=28),
        paid_until=due,
        created_at=due,
        updated_at=due,
    )
    answer = service.post("/api/v1/internal/sync/charge-recurring").json()
    name = "16: a due subscriber without a balance"
    yield name, f"charged {answer['charged']}, paused {answer['paused']}"


def money(stripe: Stripe, offer: Package, settings: Any) -> Iterator[Outcome]:
    def state(purchase_id: str, user_id: str) -> str:
        row = Balance.objects.filter(pk=user_id).first()
        status = Purchase.objects.get(pk=UUID(purchase_id)).status
        return f"{status}, {row.posted.normalize() if row else 0:f} credits"

    def bought(user_id: str) -> str:
        started: str = buy(person(user_id), offer).json()["purchaseId"]
        return started

    def hear(new: list[Any]) -> None:
        for event in new:
            assert deliver(event).status_code == 200

    name = bought("m1")
    stripe.pay(name)
    (paid,) = stripe.events()
    failed = {**paid, "id": "evt_failed", "type": "payment_intent.payment_failed"}
    hear([paid, failed, {**paid, "id": "evt_again"}])
    yield "2: succeeded, failed, succeeded for one payment", state(name, "m1")

    name = bought("m2")
    stripe.refund(stripe.pay(name)["id"])
    hear(stripe.events())
    yield "13: a refund at Stripe", state(name, "m2")
    name = bought("m3")
    stripe.pay(name)
    stripe.post(f"disputes/{stripe.post(f'disputes/{name}')['id']}/lost")
    hear(stripe.events())
    yield "13: a lost dispute", state(name, "m3")
    name = bought("m4")
    intent = Purchase.objects.get(pk=UUID(name)).stripe_payment_intent_id
    stripe.post(f"v1/payment_intents/{intent}/cancel")
    hear(stripe.events())
    yield "13: a cancelled payment", state(name, "m4")

    settings.STRIPE_WEBHOOK_SECRETS = []
    answer = deliver({**paid, "id": f"evt_{uuid4()}"}, secret="")
    yield "29: a webhook while its secret is empty", answer.status_code
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        answer = buy(person("m5"), offer)
    yield "28: a purchase while Stripe is away", answer.status_code


@pytest.mark.slow
def test_every_fault_is_gone_as_the_guide_says(
    service: Caller, stripe: Stripe, starter: Package, settings: Any
) -> None:
    now = {
        **dict(spends(service)),
        **dict(bad_input(service)),
        **dict(gifts(service)),
        **dict(sync(service)),
        **dict(money(stripe, starter, settings)),
    }
    assert now.keys() == EARLIER.keys()
    found = {(name, then, str(now[name])) for name, then in EARLIER.items()}

    assert listed() - {(name, one["then"], one["now"]) for name, one in ELSEWHERE.items()} == found
    assert not [name for name, then, today in found if then == today]


def test_every_fault_is_provoked_here_or_by_a_test_of_its_own() -> None:
    numbers = {int(name.split(":")[0]) for name in (*EARLIER, *ELSEWHERE)}

    assert numbers == set(range(1, 38))
    assert {(name, one["then"], one["now"]) for name, one in ELSEWHERE.items()} <= listed()
    for one in ELSEWHERE.values():
        path, name = one["test"].split("::")
        assert f"\ndef {name}(" in (ROOT / path).read_text()


def listed() -> set[tuple[str, ...]]:
    """Return the rows of the guide's table."""
    return {tuple(cell.strip("`") for cell in row) for row in table("Compared with faults")}
