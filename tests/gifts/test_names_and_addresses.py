"""Names and unverified e-mail addresses: tokens of mana-auth contain no name."""

import pytest

from gifts.models import GiftCode
from tests.api import Caller
from tests.conftest import gifts_of
from tests.environment import PROVIDER
from tests.factories import gift, give

pytestmark = pytest.mark.django_db


def giver(**claims: str | None) -> Caller:
    token = PROVIDER.token("ivan", email="ivan@example.test", **claims)
    return Caller({"Authorization": f"Bearer {token}"}, prefix="/api/v1/gifts/")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Ivan the Great", "Ivan the Great"),
        ("x" * 80, "x" * 80),
        (" Ivan\n", "Ivan"),
        ("", None),
        (None, None),
    ],
)
def test_a_giver_without_a_name_in_the_token_may_send_one(
    stranger: Caller, sent: str | None, shown: str | None
) -> None:
    give("ivan", 10)

    made = giver().post("/api/v1/gifts", {"totalCredits": 5, "creatorName": sent})

    assert made.status_code == 201
    assert made.json()["creatorName"] == shown
    assert stranger.get(made.json()["code"]).json()["creatorName"] == shown


def test_a_sent_name_counts_before_that_of_the_token() -> None:
    give("ivan", 20)
    ivan = giver(name="Ivan")

    names = [
        ivan.post("/api/v1/gifts", {"totalCredits": 5, **sent}).json()["creatorName"]
        for sent in ({"creatorName": "Vanya"}, {"creatorName": "  "}, {})
    ]

    assert names == ["Vanya", "Ivan", "Ivan"]


@pytest.mark.parametrize("sent", ["ivan@example.test", "ivan\uff20example", "x" * 81, 5, "a\0b"])
def test_an_email_address_or_a_long_text_is_rejected_as_a_name(sent: object) -> None:
    give("ivan", 10)

    answer = giver().post("/api/v1/gifts", {"totalCredits": 5, "creatorName": sent})

    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"creatorName"}
    assert not GiftCode.objects.exists()


@pytest.mark.parametrize(
    ("verified", "status"),
    [(True, 200), (None, 200), (False, 404), ("false", 404), ("true", 404)],
)
def test_an_address_that_is_not_verified_redeems_no_personalized_gift(
    verified: object, status: int
) -> None:
    give("ivan", 10)
    made = gift("ivan", target_email="kate@example.test")
    token = PROVIDER.token("kate", email="kate@example.test", email_verified=verified)
    kate = Caller({"Authorization": f"Bearer {token}"}, prefix="/api/v1/gifts/")

    answer = kate.post(f"{made.code}/redeem", {})

    assert answer.status_code == status
    assert (GiftCode.objects.get().status == "depleted") == (status == 200)


def test_a_gift_for_anybody_asks_for_no_verified_address() -> None:
    give("ivan", 10)
    made = gift("ivan")
    kate = gifts_of("kate", email="kate@example.test", email_verified=False)

    assert kate.post(f"{made.code}/redeem", {}).status_code == 200


@pytest.mark.parametrize("claim", ["\ud800", "kate\udfff@example.test", "a\0b", "x" * 5000])
def test_odd_texts_in_a_token_stop_nothing(claim: str) -> None:
    give("ivan", 10)
    made = gifts_of("ivan", name=claim).post("/api/v1/gifts", {"totalCredits": 5})
    kate = gifts_of("kate", email=claim, name=claim)

    answer = kate.post(f"{made.json()['code']}/redeem", {})

    assert (made.status_code, answer.status_code) == (201, 200)


def test_a_name_cannot_turn_the_text_around(alice: Caller) -> None:
    give("alice", 10)
    name = "Bank \u202eknaB\u2066"

    answer = alice.post("/api/v1/gifts", {"totalCredits": 1, "creatorName": name})

    assert answer.status_code == 201
    assert GiftCode.objects.get().creator_name == "Bank knaB"
