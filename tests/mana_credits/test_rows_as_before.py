"""Rows and messages that clients of the earlier service read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from credits.ledger.posting import Origin
from credits.models import Package, Purchase, Transaction
from credits.sync import cloud_sync, renewals
from gifts.models import GiftCode
from tests.api import Caller
from tests.conftest import gifts_of
from tests.factories import gift, give, hold, redeem
from tests.stripe import Stripe, buy, deliver

pytestmark = pytest.mark.django_db
APP = "http://localhost:5173"


def rows(who: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = who.get("transactions").json()
    return found


def test_a_committed_reservation_names_itself(alice: Caller, service: Caller) -> None:
    give("alice", 10)
    reservation = hold("alice", 2)

    service.post("commit", {"reservationId": str(reservation.pk)})

    assert rows(alice)[0]["metadata"] == {"reservationId": str(reservation.pk)}
    assert rows(alice)[0]["appId"] == "research"


def test_a_purchase_is_of_the_app_stripe(alice: Caller, starter: Package, stripe: Stripe) -> None:
    purchase = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    stripe.pay(str(purchase.pk))
    for event in stripe.events():
        deliver(event)

    (row,) = rows(alice)

    assert (row["type"], row["appId"], row["amount"]) == ("purchase", "stripe", 500)
    assert row["metadata"]["purchaseId"] == str(purchase.pk)


@pytest.mark.parametrize(
    ("given", "shown"), [(None, "Reward: welcome"), ("", "Reward: welcome"), ("Hello", "Hello")]
)
def test_a_grant_is_of_the_community(
    alice: Caller, service: Caller, given: str | None, shown: str
) -> None:
    body = {"userId": "alice", "amount": 5, "reason": "welcome", "referenceId": "1"}

    service.post("grant", {**body, "description": given} if given != "" else body)

    (row,) = rows(alice)
    assert (row["appId"], row["description"]) == ("community", shown)
    assert row["metadata"] == {"reason": "welcome", "referenceId": "1"}


def test_charges_of_cloud_sync_say_their_type_and_times_in_utc() -> None:
    give("alice", 50)
    start = datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC)
    origin = Origin("user", at=start)
    cloud_sync.activate("alice", interval="monthly", origin=origin, now=start)

    list(renewals.renew_due(now=start + timedelta(days=30), limit=10))

    charges = Transaction.objects.filter(app_id="sync").order_by("number")
    assert [row.metadata for row in charges] == [
        {
            "type": "sync_subscription",
            "interval": "monthly",
            "from": "2026-01-31T12:00:00.123Z",
            "until": "2026-02-28T12:00:00.123Z",
        },
        {
            "type": "sync_renewal",
            "interval": "monthly",
            "from": "2026-02-28T12:00:00.123Z",
            "until": "2026-03-31T12:00:00.123Z",
        },
    ]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("depleted", "Gift code is depleted"),
        ("cancelled", "Gift code is cancelled"),
        ("expired", "Gift code expired"),
    ],
)
def test_a_message_says_why_a_gift_cannot_be_redeemed(
    ivan: Caller, judy: Caller, status: str, message: str
) -> None:
    give("ivan", 10)
    days = 1 if status == "expired" else 90
    made = gift("ivan", at=datetime.now(UTC) - timedelta(days=2), days=days)
    if status == "depleted":
        redeem(made, "mallory")
    if status == "cancelled":
        ivan.delete(f"{made.pk}")

    answer = judy.post(f"{made.code}/redeem", {})

    assert answer.status_code == 400
    assert answer.json() == {
        "statusCode": 400,
        "message": message,
        "code": "gift_not_redeemable",
        "details": {"status": status},
    }


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"targetEmail": "kate"}, "Enter a valid email address."),
        ({"type": "personalized"}, "A personalized gift needs an e-mail address."),
        (
            {"type": "simple", "targetEmail": "k@example.test"},
            "A gift of the type simple has no e-mail address.",
        ),
    ],
)
def test_a_wrong_address_of_a_gift_is_named_in_the_message(
    ivan: Caller, body: dict[str, str], problem: str
) -> None:
    give("ivan", 10)

    answer = ivan.post("/api/v1/gifts", {"totalCredits": 5, **body})

    assert answer.status_code == 400
    assert answer.json() == {
        "statusCode": 400,
        "message": f"targetEmail: {problem}",
        "code": "validation_failed",
        "details": {"targetEmail": [problem]},
    }
    assert not GiftCode.objects.exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"totalCredits": 20_000}, "totalCredits: A gift holds 1 to 10,000 credits."),
        ({"totalCredits": None}, "totalCredits: This field is required."),
        ({"credits": 6}, "credits: totalCredits has a different value."),
        ({"creatorName": "i@example.test"}, "creatorName: The name must not contain"),
        ({"message": "x" * 501}, "message: Ensure this field has no more than 500 characters."),
        ({"expirationDays": 366}, "expirationDays: Ensure this value is less than or equal to 365"),
        ({"expiresAt": "soon"}, "expiresAt: "),
        ({"sourceAppId": 5}, "sourceAppId: Not a valid string."),
        ({"type": "x", "targetEmail": "kate"}, "targetEmail: Enter a valid email address."),
    ],
)
def test_any_wrong_field_of_a_gift_is_named_in_the_message(
    ivan: Caller, body: dict[str, object], message: str
) -> None:
    give("ivan", 10)

    answer = ivan.post("/api/v1/gifts", {"totalCredits": 5, **body})

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert not GiftCode.objects.exists()


def test_a_gift_with_an_address_and_no_type_is_personalized() -> None:
    give("ivan", 20)
    ivan = gifts_of("ivan", name="Ivan", email="ivan@example.test")

    addressed = ivan.post("/api/v1/gifts", {"totalCredits": 5, "targetEmail": "kate@example.test"})
    bare = ivan.post("/api/v1/gifts", {"totalCredits": 5, "targetEmail": ""})

    assert (addressed.status_code, bare.status_code) == (201, 201)
    assert (addressed.json()["type"], bare.json()["type"]) == ("personalized", "simple")


@pytest.mark.parametrize(("origin", "allowed"), [(APP, APP), ("https://elsewhere.example", None)])
def test_health_may_be_read_by_the_apps(origin: str, allowed: str | None) -> None:
    read = Client().get("/health", headers={"Origin": origin})
    asked = Client().options(
        "/health", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
    )

    assert (read.status_code, read.headers.get("Access-Control-Allow-Origin")) == (200, allowed)
    assert (asked.status_code, asked.headers.get("Access-Control-Allow-Origin")) == (200, allowed)


def test_readiness_is_not_for_the_apps() -> None:
    answer = Client().get("/ready", headers={"Origin": APP})

    assert not answer.has_header("Access-Control-Allow-Origin")
