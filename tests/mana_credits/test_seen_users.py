"""What users' tokens say is kept for support, and no request waits for it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction

from credits import contacts
from credits.models import Contact, ContactErasure
from credits.principals import User
from mana_credits.api import seen_users, tokens
from mana_credits.api.seen_users import SeenUsers
from mana_credits.privacy import erasure
from tests.api import Caller
from tests.environment import PROVIDER
from tests.factories import gift, give

pytestmark = pytest.mark.django_db

CAROL = User("u-carol", email="Carol@Example.test", name="Carol Danvers")
BOB = User("u-bob", name="Bob")


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


def test_a_token_from_before_the_erasure_brings_no_contact_back() -> None:
    seen = SeenUsers()
    seen.note(CAROL)
    seen.note(BOB)

    erasure.erase("u-carol")
    seen.write()

    assert [row[0] for row in kept()] == ["u-bob"]


def test_a_token_that_is_still_valid_after_the_erasure_brings_no_contact_back() -> None:
    erasure.erase("u-carol")
    now = datetime.now(UTC)

    contacts.record({CAROL: now + contacts.REFUSED_FOR - timedelta(minutes=1), BOB: now})

    assert [row[0] for row in kept()] == ["u-bob"]


def test_later_the_same_id_is_a_new_user() -> None:
    erasure.erase("u-carol")
    later = datetime.now(UTC) + contacts.REFUSED_FOR + timedelta(minutes=1)

    contacts.record({CAROL: later})
    contacts.refuse("u-bob", now=later)

    assert [row[0] for row in kept()] == ["u-carol"]
    assert ContactErasure.objects.get().erased_at == later  # the expired one is deleted


def test_a_dry_run_of_an_erasure_refuses_nothing() -> None:
    give("u-carol", 1)

    call_command("erase_user", "u-carol", stdout=StringIO())
    contacts.record({CAROL: datetime.now(UTC)})

    assert [row[0] for row in kept()] == ["u-carol"]


@pytest.mark.usefixtures("committed")
def test_an_erasure_waits_for_contacts_that_are_being_recorded() -> None:
    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            contacts.record({CAROL: datetime.now(UTC)})
            erased = pool.submit(in_a_thread, partial(erasure.erase, "u-carol"))
            wait_until_somebody_waits_for_a_lock()
        erased.result(timeout=20)

    assert kept() == []


def in_a_thread(work: Callable[[], object]) -> None:
    try:
        work()
    finally:
        connection.close()


def wait_until_somebody_waits_for_a_lock() -> None:
    waiting = (
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE datname = current_database() AND relation = 'credits.contacts'::regclass"
    )
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute(f"{waiting} AND NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    pytest.fail("nobody waits")


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
