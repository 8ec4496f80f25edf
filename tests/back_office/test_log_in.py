"""Log-in limits: delays after wrong passwords, and no lock-out by strangers."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event
from typing import Any
from unittest.mock import patch

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.hashers import MD5PasswordHasher, PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django.utils.module_loading import import_string
from django_otp.plugins.otp_totp.models import TOTPDevice

from mana_credits import settings as configured
from mana_credits.back_office.frame.password_hashes import LowPriorityPBKDF2Hasher
from tests.api import Caller, at_once
from tests.back_office.operators import browser, operator

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
HOME = "192.0.2.1"


class Clock:
    """A clock for the log-in and for the count of wrong passwords."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", clock)
    monkeypatch.setattr("axes.handlers.proxy.now", clock)
    return clock


@pytest.fixture
def sam(db: None) -> User:
    """Return an operator with a password."""
    operator("sam")
    user = User.objects.get(username="sam")
    user.set_password(PASSWORD)
    user.save()
    return user


def log_in(address: str, password: str = PASSWORD, name: str = "sam") -> Any:
    client = Client(REMOTE_ADDR=address)
    return client.post("/admin/login/", {"username": name, "password": password})


def test_a_name_that_is_tried_from_many_addresses_is_slowed_down(sam: User) -> None:
    wrong = [log_in(f"198.51.100.{index % 12}", "wrong").status_code for index in range(48)]
    right = log_in("198.51.100.200")

    assert wrong == [200] * 10 + [429] * 38
    assert (right.status_code, right["Retry-After"]) == (429, "1")
    assert "Too many attempts" in right.content.decode()
    assert AccessAttempt.objects.filter(username="sam").count() == 10


def test_each_further_try_doubles_the_pause_up_to_a_minute(sam: User, clock: Clock) -> None:
    for index in range(10):
        log_in(f"198.51.100.{index}", "wrong")
    pauses = []

    for index in range(10, 19):
        clock.wait(64)
        assert log_in(f"198.51.100.{index}", "wrong").status_code == 200
        pauses.append(int(log_in("198.51.100.200", "wrong")["Retry-After"]))

    assert pauses == [2, 4, 8, 16, 32, 64, 64, 64, 64]


def test_after_the_pause_the_right_password_opens_the_door(sam: User, clock: Clock) -> None:
    for index in range(10):
        log_in(f"198.51.100.{index}", "wrong")
    refused = log_in("198.51.100.200")
    clock.wait(2)

    assert refused.status_code == 429
    assert log_in("198.51.100.200").status_code == 302


def test_strangers_cannot_keep_an_operator_out_of_a_known_address(sam: User) -> None:
    assert log_in(HOME).status_code == 302
    for index in range(48):
        log_in(f"198.51.100.{index % 12}", "wrong")

    assert log_in("198.51.100.200").status_code == 429
    assert log_in(HOME).status_code == 302


def test_a_log_in_is_remembered_for_90_days(sam: User, clock: Clock) -> None:
    log_in(HOME)
    clock.wait(91 * 24 * 3600)
    for index in range(10):
        log_in(f"198.51.100.{index}", "wrong")

    assert log_in(HOME).status_code == 429
    clock.wait(60)
    assert log_in(HOME).status_code == 302
    assert AccessLog.objects.count() == 1


@pytest.mark.slow
def test_an_address_has_20_wrong_passwords_whatever_the_names(db: None) -> None:
    statuses = [log_in(HOME, "wrong", f"nobody-{index}").status_code for index in range(48)]
    refused = log_in(HOME, "wrong", "nobody-else")

    assert statuses == [200] * 20 + [429] * 28
    assert refused["Retry-After"] == "900"
    assert AccessAttempt.objects.count() == 20
    assert log_in("192.0.2.2", "wrong", "nobody-0").status_code == 200


@pytest.mark.slow
def test_all_addresses_of_a_network_of_ipv6_count_as_one(db: None) -> None:
    statuses = [log_in(f"2001:db8::{index}", "x", f"n{index}").status_code for index in range(21)]

    assert statuses == [200] * 20 + [429]
    assert log_in("2001:db8:0:100::1", "x", "n").status_code == 200


@pytest.mark.parametrize("length", [151, 256, 10_000])
def test_a_name_that_is_too_long_is_a_wrong_name(db: None, length: int) -> None:
    answer = log_in(HOME, "wrong", "n" * length)

    assert answer.status_code == 200
    assert "Please enter the correct username and password" in answer.content.decode()


def test_an_address_that_is_none_is_no_error(settings: Any, db: None) -> None:
    settings.TRUSTED_PROXIES = 1
    client = Client(HTTP_X_FORWARDED_FOR="<script>")

    answer = client.post("/admin/login/", {"username": "sam", "password": "wrong"})

    assert answer.status_code == 200


@pytest.mark.usefixtures("committed")
def test_one_password_is_hashed_at_a_time_and_the_others_are_refused_at_once(
    sam: User, settings: Any, alice: Caller
) -> None:
    settings.BULKHEADS = {**settings.BULKHEADS, "log_in": 1}
    at_once(1, lambda _: log_in(HOME))
    hashing, go_on = Event(), Event()
    verify = MD5PasswordHasher.verify

    def slowly(self: Any, password: str, encoded: str) -> bool:
        if password == "wait":
            hashing.set()
            go_on.wait(60)
        return verify(self, password, encoded)

    with patch.object(MD5PasswordHasher, "verify", slowly), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(at_once, 1, lambda _: log_in("192.0.2.9", "wait").status_code)
        assert hashing.wait(60)
        refused = at_once(15, lambda index: log_in(f"192.0.2.{10 + index}", name="sam"))
        known = at_once(1, lambda _: log_in(HOME).status_code)
        balance = at_once(1, lambda _: alice.get("balance").status_code)
        go_on.set()

        assert waiting.result() == [200]
    assert {(one.status_code, one["Retry-After"]) for one in refused} == {(503, "2")}
    assert known == [302]
    assert balance == [200]


def test_a_hash_is_made_at_low_priority_and_is_djangos_own() -> None:
    priorities, before = [], os.getpriority(os.PRIO_PROCESS, 0)
    encode = PBKDF2PasswordHasher.encode

    def seen(self: Any, password: str, salt: str, iterations: int | None = None) -> str:
        priorities.append(os.getpriority(os.PRIO_PROCESS, 0))
        return encode(self, password, salt, iterations)

    with patch.object(PBKDF2PasswordHasher, "encode", seen):
        made = LowPriorityPBKDF2Hasher().encode("secret", "salt", 10)

    assert priorities == [max(before, 10)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before  # this thread goes on as it was
    assert made == PBKDF2PasswordHasher().encode("secret", "salt", 10)


def test_the_service_makes_its_hashes_so() -> None:
    first = import_string(configured.PASSWORD_HASHERS[0])

    assert first is LowPriorityPBKDF2Hasher


def test_a_wrong_code_says_when_the_next_one_may_be_tried(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    client = browser("sam")
    TOTPDevice.objects.create(user=User.objects.get(username="sam"), confirmed=True)

    pages = [
        client.post("/admin/second-factor/", {"code": "000000"}).content.decode() for _ in range(3)
    ]

    assert all("Try again in 1 seconds" in page for page in pages)
    assert TOTPDevice.objects.get().throttling_failure_count == 1
