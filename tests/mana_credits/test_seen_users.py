"""What users' tokens say is kept for support, and no request waits for it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError

from credits import contacts
from credits.models import Contact
from credits.principals import User
from mana_credits.api import seen_users, tokens
from mana_credits.api.seen_users import SeenUsers
from mana_credits.privacy import erasure
from tests.api import Caller
from tests.environment import PROVIDER
from tests.factories import gift, give

pytestmark = pytest.mark.django_db

CAROL = User("u-carol", email="Carol@Example.test", name="Carol Danvers")


def kept() -> list[tuple[Any, ...]]:
    return list(Contact.objects.order_by("pk").values_list("pk", "email", "name"))


def test_an_address_and_a_name_are_kept_and_follow_the_newest_token() -> None:
    seen = SeenUsers()
    seen.note(CAROL)
    seen.write()
    first = kept()

    seen.note(User("u-carol", email="new@example.test", name="Carol D"))
    seen.write()

    assert first == [("u-carol", "carol@example.test", "Carol Danvers")]
    assert kept() == [("u-carol", "new@example.test", "Carol D")]


def test_an_unchanged_token_is_written_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = SeenUsers()
    seen.note(CAROL)
    seen.write()
    Contact.objects.all().delete()

    seen.note(CAROL)
    seen.write()
    the_same_day = kept()
    monkeypatch.setattr(seen_users, "RECORDED_AGAIN", timedelta(0))
    seen.note(CAROL)
    seen.write()

    assert the_same_day == []
    assert len(kept()) == 1


def test_a_request_writes_nothing_itself() -> None:
    user = Caller.with_token(PROVIDER.token("u-x", email="x@example.test", name="X"))

    with patch.object(contacts, "record", side_effect=OperationalError):
        assert user.get("balance").status_code == 200

    assert kept() == []
    tokens.seen_users.write()
    assert kept() == [("u-x", "x@example.test", "X")]


def test_a_database_that_is_away_loses_nobody_and_fails_no_request() -> None:
    seen = SeenUsers()
    seen.note(CAROL)

    with (
        patch.object(contacts, "record", side_effect=OperationalError),
        pytest.raises(OperationalError),
    ):
        seen.write()
    seen.write()

    assert [row[0] for row in kept()] == ["u-carol"]


@pytest.mark.parametrize(
    ("user", "row"),
    [
        (User("a", email="a\0@x.test", name="\0\n"), ("a", "a@x.test", "")),
        (User("a", name="N" * 400), ("a", "", "N" * 255)),
        (User("a", email=f"{'e' * 400}@x.test", name="A"), ("a", "", "A")),
    ],
)
def test_odd_claims_are_kept_as_far_as_they_fit(user: User, row: tuple[str, str, str]) -> None:
    contacts.record({user: datetime.now(UTC)})

    assert kept() == [row]


def test_a_token_that_says_nothing_leaves_no_row() -> None:
    contacts.record({User("a", email="\0"): datetime.now(UTC)})

    assert kept() == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_users, "LARGEST_COUNT", 3)
    seen = SeenUsers()

    for number in range(9):
        seen.note(User(f"u-{number}", name="N"))
    seen.write()

    assert [row[0] for row in kept()] == ["u-6", "u-7", "u-8"]


def test_an_erasure_takes_the_contact_and_an_unconfirmed_address_no_gift_of_others() -> None:
    give("frank", 20)
    sent = gift("frank", 5, target_email="victim@example.test")
    give("mallory", 1)
    claimed = User("mallory", email="victim@example.test", name="M", email_verified=False)
    contacts.record({claimed: datetime.now(UTC)})

    erasure.erase("mallory")

    sent.refresh_from_db()
    assert (sent.status, sent.target_email) == ("active", "victim@example.test")
    assert kept() == []
