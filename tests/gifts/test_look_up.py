"""Anybody with a code can view its gift, but not for whom it is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gifts.models import GiftCode
from tests.api import Caller
from tests.conftest import gifts_of
from tests.factories import gift, give, redeem

pytestmark = pytest.mark.django_db


def test_a_gift_is_shown_without_a_token(stranger: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", 2.5, message="Hi")

    answer = stranger.get(made.code.lower())

    assert answer.status_code == 200
    assert answer.json() == {
        "code": made.code,
        "type": "simple",
        "status": "active",
        "totalCredits": 2.5,
        "redeemed": False,
        "message": "Hi",
        "creatorName": "Ivan",
        "expiresAt": made.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "isPersonalized": False,
        "forYou": None,
        "relation": None,
        "redeemedAt": None,
    }


@pytest.mark.parametrize(
    ("claims", "is_theirs"),
    [
        ({"email": "Kate@Example.test"}, True),
        ({"email": "kate@example.test", "email_verified": False}, False),
        ({"email": "judy@example.test"}, False),
        ({}, False),
    ],
)
def test_with_a_token_it_says_whether_it_is_for_its_user(
    claims: dict[str, Any], is_theirs: bool
) -> None:
    give("ivan", 10)
    personal, simple = gift("ivan", 5, target_email="kate@example.test"), gift("ivan", 5)
    caller = gifts_of("somebody", **claims)

    assert caller.get(personal.code).json()["forYou"] is is_theirs
    assert caller.get(simple.code).json()["forYou"] is True


def test_an_invalid_token_does_not_matter() -> None:
    give("ivan", 10)
    made = gift("ivan")
    caller = Caller({"Authorization": "Bearer nonsense"}, prefix="/api/v1/gifts/")

    assert caller.get(made.code).status_code == 200


def test_no_email_address_is_shown_to_strangers(stranger: Caller) -> None:
    give("ivan", 10)
    sender = gifts_of("ivan", name="ivan@example.test", email="ivan@example.test")
    body = {"totalCredits": 5, "type": "personalized", "targetEmail": "kate@example.test"}
    made = sender.post("/api/v1/gifts", body).json()

    answer = stranger.get(made["code"])

    assert answer.json()["isPersonalized"] is True
    assert answer.json()["creatorName"] is None
    assert "@" not in answer.content.decode()


def test_what_became_of_a_gift_is_shown(stranger: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    redeem(made, "judy")

    answer = stranger.get(made.code)

    assert (answer.json()["status"], answer.json()["redeemed"]) == ("depleted", True)


def test_a_gift_is_expired_from_its_first_millisecond(stranger: Caller) -> None:
    give("ivan", 10)
    now = datetime.now(UTC)
    made = gift("ivan", at=now - timedelta(days=1), days=1)

    answer = stranger.get(made.code)

    assert answer.json()["status"] == "expired"
    assert GiftCode.objects.get().status == "active"


@pytest.mark.parametrize("code", ["ABCDEFGHJKLM", "ABCDEF", "ABC", "%00", "OOOOOO", "%C5%BF"])
def test_an_unknown_code_is_not_found(stranger: Caller, code: str) -> None:
    answer = stranger.get(code)

    assert answer.status_code == 404
    assert answer.json() == {
        "statusCode": 404,
        "message": "Gift code not found",
        "code": "gift_not_found",
    }


def test_gifts_are_not_listed(stranger: Caller) -> None:
    assert stranger.get("/api/v1/gifts").status_code == 401
    assert stranger.get("/api/v1/gifts/").status_code == 404


def test_with_a_token_it_says_what_the_gift_is_to_its_user() -> None:
    give("ivan", 30)
    redeemed = gift("ivan", 5)
    redeem(redeemed, "judy")
    gifts = {
        "redeemed": redeemed,
        "personal": gift("ivan", 5, target_email="kate@example.test"),
        "simple": gift("ivan", 5),
    }
    callers = {
        "ivan": gifts_of("ivan"),
        "judy": gifts_of("judy"),
        "kate": gifts_of("kate", email="kate@example.test"),
    }

    seen = {
        name: {kind: caller.get(one.code).json()["relation"] for kind, one in gifts.items()}
        for name, caller in callers.items()
    }

    assert seen == {
        "ivan": {"redeemed": "giver", "personal": "giver", "simple": "giver"},
        "judy": {"redeemed": "redeemer", "personal": "other", "simple": "recipient"},
        "kate": {"redeemed": "recipient", "personal": "recipient", "simple": "recipient"},
    }
    assert callers["judy"].get(redeemed.code).json()["redeemedAt"].endswith("Z")
    assert callers["kate"].get(redeemed.code).json()["redeemedAt"] is None
    created = callers["ivan"].get("me/created").json()
    assert [one["redeemedAt"] is not None for one in created] == [False, False, True]
