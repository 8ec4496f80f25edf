"""The mark of an account, which a reservation's id carries."""

import time
from typing import Any
from uuid import UUID

import pytest

from credits.ledger import account_marks
from credits.ledger.account_marks import mark_in, mark_of, marked_id
from tests.api import Caller
from tests.factories import give


def test_an_id_carries_the_mark_of_its_user() -> None:
    assert mark_in(marked_id("alice")) == mark_of("alice") != mark_of("bob")


def test_a_marked_id_is_a_uuid_of_version_7_and_of_now() -> None:
    before = time.time_ns() // 1_000_000
    one = marked_id("alice")

    assert (one.version, one.variant) == (7, "specified in RFC 4122")
    assert before <= one.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_of_one_user_differ() -> None:
    assert len({marked_id("alice") for _ in range(1000)}) == 1000


def test_a_mark_tells_nothing_without_the_secret_key(settings: Any) -> None:
    known = mark_of("alice")
    settings.SECRET_KEY = "another-" + "k" * 50
    account_marks._key.cache_clear()
    try:
        assert mark_of("alice") != known
    finally:
        account_marks._key.cache_clear()


@pytest.mark.parametrize("user_id", ["", "\ud800", "💎", "a" * 255])
def test_every_text_has_a_mark(user_id: str) -> None:
    assert 0 <= mark_of(user_id) < 2**32


@pytest.mark.django_db
def test_a_reservation_has_such_an_id(service: Caller) -> None:
    give("alice", 10)
    body = {"userId": "alice", "amount": 1, "reason": "r"}

    reserved = service.post("reserve", body).json()["reservationId"]

    assert mark_in(UUID(reserved)) == mark_of("alice")
