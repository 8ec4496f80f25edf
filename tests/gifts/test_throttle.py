"""Guessing of gift codes is answered with 429; users with valid codes are not affected."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from credits import client_ip
from credits.client_ip import client_address
from credits.models import Balance
from gifts import code_format, codes
from gifts.models import GiftCode, GiftMisses
from gifts.throttle import Attempt, TooManyMisses
from tests.api import Answer, Caller, at_once, statuses
from tests.conftest import gifts_of
from tests.factories import gift, give, redeem

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def limits(settings: Any) -> dict[str, int]:
    limits = {"user": 3, "address": 5, "short codes": 7}
    settings.GIFT_MISS_LIMITS = limits
    return limits


def guess(caller: Caller, code: str | None = None) -> Answer:
    return caller.post(f"{code or code_format.new_code()}/redeem", {})


def miss(address: str, code: str = "ABCDEFGHJKLM", now: datetime = NOW) -> None:
    with pytest.raises(codes.GiftUnknown):
        codes.find(code, guesser=Attempt(address), now=now)


def refused(address: str, code: str = "ABCDEFGHJKLM", now: datetime = NOW) -> int:
    with pytest.raises(TooManyMisses) as refusal:
        codes.find(code, guesser=Attempt(address), now=now)
    return refusal.value.retry_after or 0


def test_a_guessing_attack_on_look_ups_meets_429(stranger: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    answers = [stranger.get(code_format.new_code()) for _ in range(40)]
    hit = stranger.get(made.code)

    assert statuses(answers) == {404: 30, 429: 10}
    assert hit.status_code == 429
    assert hit.json()["code"] == "too_many_attempts"
    assert 0 < int(hit["Retry-After"]) <= 600


def test_a_guessing_attack_on_redeeming_meets_429(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    answers = [guess(judy) for _ in range(20)]
    hit = guess(judy, made.code)

    assert statuses(answers) == {404: 10, 429: 10}
    assert hit.status_code == 429
    assert not Balance.objects.filter(pk="judy").exists()


@pytest.mark.slow
def test_an_office_full_of_people_with_real_gifts_is_never_stopped(stranger: Caller) -> None:
    give("ivan", 1000)
    made = [gift("ivan") for _ in range(50)]

    seen = [stranger.get(one.code) for one in made for _ in range(3)]
    redeemed = [guess(gifts_of(f"user-{n}"), one.code) for n, one in enumerate(made)]
    late = [guess(gifts_of(f"user-{n}"), one.code) for n, one in enumerate(made)]

    assert statuses(seen) == {200: 150}
    assert statuses(redeemed) == {200: 50}
    assert statuses(late) == {400: 50}
    assert not GiftMisses.objects.exists()


def test_one_users_misses_do_not_stop_another(
    limits: dict[str, int], judy: Caller, kate: Caller
) -> None:
    give("ivan", 10)
    made = gift("ivan")
    answers = [guess(judy) for _ in range(4)]

    answer = guess(kate, made.code)

    assert statuses(answers) == {404: 3, 429: 1}
    assert answer.status_code == 200


def test_a_user_is_stopped_from_whatever_address(limits: dict[str, int]) -> None:
    def attempt(n: int) -> None:
        guesser = Attempt(f"192.0.2.{n}", "mallory")
        codes.find("ABCDEFGHJKLM", guesser=guesser, now=NOW)

    for n in range(3):
        with pytest.raises(codes.GiftUnknown):
            attempt(n)
    with pytest.raises(TooManyMisses):
        attempt(4)


def test_an_address_is_stopped_with_whatever_token(limits: dict[str, int]) -> None:
    answers = [guess(gifts_of(f"user-{n}")) for n in range(6)]

    assert statuses(answers) == {404: 5, 429: 1}


def test_somebody_elses_personalized_gift_is_a_miss(limits: dict[str, int], judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", target_email="kate@example.test")

    answers = [guess(judy, made.code) for _ in range(4)]

    assert statuses(answers) == {404: 3, 429: 1}


def test_an_ipv6_network_counts_as_one_address(limits: dict[str, int]) -> None:
    for n in range(5):
        miss(f"2001:db8:1:2{n:02}::1")

    assert refused("2001:db8:1:2ff:ffff::1") == 600
    miss("2001:db8:1:300::1")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::"),
        ("", client_ip.UNKNOWN),
        ("x" * 5000, client_ip.UNKNOWN),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert client_ip.network_of(address) == counted


def test_many_addresses_together_do_not_find_a_short_code(limits: dict[str, int]) -> None:
    for n in range(7):
        miss(f"192.0.2.{n}", "ABCDEF")

    assert refused("198.51.100.1", "RVZ5JG") == 600


def redeems(user: str, code: str, *more: str) -> list[int]:
    caller = gifts_of(user)
    return [guess(caller, one).status_code for one in (*more, code)]


def test_a_neighbours_misses_do_not_stop_who_has_a_real_code(limits: dict[str, int]) -> None:
    give("ivan", 20)
    first, second = gift("ivan"), gift("ivan")
    for n in range(3):
        for _ in range(3):
            guess(gifts_of(f"mallory-{n}"))

    answers = [
        redeems("judy", first.code),
        redeems("kate", second.code, "ABCDEFGHJK", "ABCDEFGHJL"),
    ]

    assert answers == [[200], [429, 429, 200]]


def test_a_guesser_at_a_stopped_address_is_stopped_by_own_misses(limits: dict[str, int]) -> None:
    give("ivan", 10)
    made = gift("ivan")
    for n in range(6):
        guess(gifts_of(f"user-{n}"))

    answers = redeems("mallory", made.code, "ABCDEFGHJK", "ABCDEFGHJL", "ABCDEFGHJM")

    assert answers == [429, 429, 429, 429]


def short_codes_under_attack() -> None:
    for n in range(7):
        miss(f"192.0.2.{n}", "ABCDEF", now=datetime.now(UTC))


def test_an_attack_on_short_codes_does_not_stop_who_has_one(
    limits: dict[str, int], imported: GiftCode
) -> None:
    short_codes_under_attack()

    assert redeems("judy", imported.code) == [200]


def test_under_attack_an_account_has_one_wrong_short_code_a_day(
    limits: dict[str, int], imported: GiftCode
) -> None:
    short_codes_under_attack()

    answers = redeems("mallory", imported.code, "ABCDEG")
    row = GiftMisses.objects.get(pk="user:mallory")
    GiftMisses.objects.filter(pk=row.pk).update(since=row.since - timedelta(hours=23))
    later = redeems("mallory", imported.code)
    GiftMisses.objects.filter(pk=row.pk).update(since=row.since - timedelta(hours=25))

    assert (answers, later) == ([429, 429], [429])
    assert redeems("mallory", imported.code) == [200]


@pytest.mark.parametrize("code", ["RVZ5JG", None])
def test_a_look_up_with_a_token_counts_as_the_accounts(
    limits: dict[str, int], imported: GiftCode, stranger: Caller, code: str | None
) -> None:
    give("ivan", 10)
    wanted = code or gift("ivan").code
    short_codes_under_attack()
    for _ in range(6):
        stranger.get("ABCDEFGHJK")

    answers = [caller.get(wanted).status_code for caller in (stranger, gifts_of("judy"))]

    assert answers == [429, 200]


def test_a_look_up_with_a_broken_token_is_a_strangers(imported: GiftCode) -> None:
    broken = Caller({"Authorization": "Bearer broken"}, prefix="/api/v1/gifts/")

    assert broken.get(imported.code).status_code == 200


def test_nobody_stops_the_people_with_codes_of_12_characters(limits: dict[str, int]) -> None:
    give("ivan", 10)
    made = gift("ivan")
    for n in range(20):
        miss(f"192.0.2.{n}", "ABCDEF" if n < 7 else "ABCDEFGHJKLM")

    found = codes.find(made.code, guesser=Attempt("198.51.100.1"), now=NOW)

    assert found.pk == made.pk


def test_it_is_over_when_it_is_over(limits: dict[str, int]) -> None:
    for n in range(5):
        miss("192.0.2.1", now=NOW + timedelta(seconds=n))

    assert refused("192.0.2.1", now=NOW + timedelta(seconds=60.5)) == 540
    assert refused("192.0.2.1", now=NOW + timedelta(seconds=599.9)) == 1
    miss("192.0.2.1", now=NOW + timedelta(seconds=600))
    assert GiftMisses.objects.get().misses == 1


@pytest.mark.usefixtures("committed")
def test_attempts_at_the_same_moment_are_all_counted(limits: dict[str, int], judy: Caller) -> None:
    answers = at_once(20, lambda _: guess(judy))

    assert statuses(answers) == {404: 3, 429: 17}


def test_the_look_at_the_counts_is_one_query(stranger: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        stranger.get(made.code)

    assert len(queries) == 2


def test_a_forwarded_address_counts_for_nothing_by_default(stranger: Caller) -> None:
    answers = [
        stranger.get(code_format.new_code(), **{"X-Forwarded-For": f"192.0.2.{n}"})
        for n in range(31)
    ]

    assert statuses(answers) == {404: 30, 429: 1}


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "192.0.2.1", "127.0.0.1"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (2, "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (2, "10.0.0.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_only_what_our_own_proxies_wrote_is_believed(
    settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert client_address(RequestFactory().get("/", headers=headers)) == address


def test_a_miss_stays_counted_although_nothing_else_of_the_request_stays(judy: Caller) -> None:
    give("ivan", 10)
    redeem(gift("ivan"), "judy")

    guess(judy)

    assert dict(GiftMisses.objects.values_list("bucket", "misses")) == {
        "address:127.0.0.1": 1,
        "user:judy": 1,
    }
