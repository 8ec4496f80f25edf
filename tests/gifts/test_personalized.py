"""Personalised gifts: only the owner of the e-mail address can redeem them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credits import email_addresses
from credits.models import Balance
from gifts.models import GiftCode
from tests.api import Answer, Caller, at_once
from tests.conftest import gifts_of
from tests.factories import gift, give, redeem

pytestmark = pytest.mark.django_db
KATE = "kate@example.test"


def pending(service: Caller, **body: Any) -> Answer:
    return service.post("/api/v1/internal/gifts/redeem-pending", body)


def test_only_the_address_redeems_it(judy: Caller, kate: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", target_email=KATE)

    stranger, target = (caller.post(f"{made.code}/redeem", {}) for caller in (judy, kate))

    assert (stranger.status_code, stranger.json()["code"]) == (404, "gift_not_found")
    assert target.status_code == 200
    assert not Balance.objects.filter(pk="judy").exists()


@pytest.mark.parametrize("email", ["KATE@Example.TEST", " kate@example.test "])
def test_case_and_spaces_do_not_matter(email: str) -> None:
    give("ivan", 10)
    made = gift("ivan", target_email="Kate@example.TEST")

    answer = gifts_of("kate", email=email).post(f"{made.code}/redeem", {})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "email", [None, "", "\u212aate@example.test", "kate@example.test.", "kate@example.tes\u0000t"]
)
def test_no_other_address_passes_for_it(email: str | None) -> None:
    give("ivan", 10)
    made = gift("ivan", target_email=KATE)

    answer = gifts_of("mallory", email=email).post(f"{made.code}/redeem", {})

    assert answer.status_code == 404
    assert GiftCode.objects.get().status == "active"


def test_composed_and_decomposed_letters_are_the_same_address() -> None:
    assert email_addresses.mailbox("A@MU\u0308LL.test") == email_addresses.mailbox(
        "a@m\u00fcll.test"
    )


def test_other_users_cannot_see_the_outcome_of_a_gift(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", target_email=KATE)
    redeem(made, "kate", KATE)

    answer = judy.post(f"{made.code}/redeem", {})

    assert answer.status_code == 404


def test_the_creator_of_it_does_not_redeem_it(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", target_email="ivan@example.test")

    answer = ivan.post(f"{made.code}/redeem", {})

    assert (answer.status_code, answer.json()["code"]) == (400, "own_gift")


def test_what_waits_for_an_address_arrives_when_its_owner_registers(service: Caller) -> None:
    give("ivan", 100)
    gift("ivan", 10, target_email=KATE)
    gift("ivan", 13.5, target_email="KATE@example.test")
    gift("ivan", 7, target_email="judy@example.test")
    gift("ivan", 5)

    first = pending(service, userId="kate", email="Kate@Example.test")
    second = pending(service, userId="kate", email=KATE)

    assert first.json() == {"redeemed": 2, "totalCredits": 23.5}
    assert second.json() == {"redeemed": 0, "totalCredits": 0}
    assert Balance.objects.get(pk="kate").posted == 23.5


def test_only_what_was_really_redeemed_counts(service: Caller) -> None:
    give("ivan", 100)
    give("kate", 10)
    gift("ivan", 10, target_email=KATE, at=datetime.now(UTC) - timedelta(days=2), days=1)
    redeem(gift("ivan", 20, target_email=KATE), "kate", KATE)
    gift("kate", 5, target_email=KATE)

    answer = pending(service, userId="kate", email=KATE)

    assert answer.json() == {"redeemed": 0, "totalCredits": 0}
    assert Balance.objects.get(pk="kate").posted == 25


@pytest.mark.usefixtures("committed")
def test_redeeming_what_waits_many_times_at_once_counts_each_gift_once(service: Caller) -> None:
    give("ivan", 100)
    for _ in range(5):
        gift("ivan", 10, target_email=KATE)

    answers = at_once(8, lambda _: pending(service, userId="kate", email=KATE))

    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["redeemed"] for answer in answers) == 5
    assert sum(answer.json()["totalCredits"] for answer in answers) == 50
    assert Balance.objects.get(pk="kate").posted == 50


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userId": "kate"},
        {"email": KATE},
        {"userId": "", "email": KATE},
        {"userId": "kate", "email": "nobody"},
        {"userId": "kate", "email": None},
        {"userId": "kate", "email": "\u212aate@example.test"},
        {"userId": "kate", "email": "a\x00@example.test"},
    ],
)
def test_bad_values_are_refused(service: Caller, body: dict[str, Any]) -> None:
    give("ivan", 10)
    gift("ivan")

    answer = pending(service, **body)

    assert answer.status_code == 400
    assert GiftCode.objects.get().status == "active"


def test_without_a_service_key_nothing_arrives(kate: Caller) -> None:
    assert pending(kate, userId="kate", email=KATE).status_code == 401
