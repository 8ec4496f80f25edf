"""Users redeem gifts: the credits arrive once."""

import json
import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unicodedata import normalize
from urllib.parse import quote

import pytest

from credits.models import Balance, Transaction
from gifts.models import GiftCode, GiftMisses, GiftRedemption
from tests.api import Caller, at_once, statuses
from tests.conftest import gifts_of
from tests.factories import gift, give

pytestmark = pytest.mark.django_db


def test_the_credits_arrive_and_the_answer_says_so(judy: Caller) -> None:
    give("judy", 100)
    give("ivan", 10)
    made = gift("ivan", 10, message="Enjoy!")

    answer = judy.post(f"{made.code}/redeem", {"sourceAppId": "web"})

    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "creditsReceived": 10,
        "message": "Enjoy!",
        "creatorName": "Ivan",
        "credits": 10,
        "newBalance": 110,
    }
    entry = Transaction.objects.get(user_id="judy", type="gift")
    assert (entry.amount, entry.app_id, entry.actor) == (Decimal(10), "web", "user")
    assert Balance.objects.get(pk="judy").total_earned == 110
    assert made.code not in json.dumps([entry.description, entry.metadata])


def test_an_empty_body_redeems(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", 1.5)

    answer = judy.post(f"{made.code}/redeem", b"")

    assert answer.json()["newBalance"] == 1.5


@pytest.mark.parametrize(
    "typed",
    [
        str.lower,
        "-".join,
        " \u200b{} ".format,
        "\u201c{}\u201d.".format,
        lambda code: f"{code[:5]}\u2013{code[5:].lower()}",
        lambda code: f"{code[:4]}\u00ad{code[4:8]}\u2060\ufeff{code[8:]}",
        lambda code: "".join(chr(ord(one) + 0xFEE0) for one in code),
        "\u0301".join,
        "{}\u0308".format,
        "\u02bc{}\u02bc".format,
        # `%` and two digits of a code may look like a broken byte (mana_credits/api/encoding.py).
        *(f"{sign}{{}}".format for sign in string.punctuation if sign not in "%{}"),
        *(sign.join for sign in string.punctuation),
        lambda code: "".join(f"{one}\u0301\u0327\ufe0f\U000e0061" for one in code.lower()),
        lambda code: normalize("NFC", "".join(f"{one}\u0301" for one in code)),
    ],
)
def test_case_and_all_that_is_no_letter_or_digit_do_not_matter(
    judy: Caller, typed: Callable[[str], str]
) -> None:
    give("ivan", 10)
    made = gift("ivan")

    typed_code = quote(typed(made.code), safe="")
    seen = judy.get(typed_code)
    answer = judy.post(f"{typed_code}/redeem", {})

    assert (seen.status_code, answer.status_code) == (200, 200)
    assert not GiftMisses.objects.exists()


def test_other_texts_with_slashes_are_unknown_routes_and_no_invalid_codes(judy: Caller) -> None:
    answers = [
        judy.get("me/other"),
        judy.get("ABCDE/FGHJ"),
        judy.post("ABCDE/FGHJ/redeem", {}),
        judy.get("ABCDEFGHJK/"),
    ]

    assert [answer.json()["code"] for answer in answers[:3]] == ["not_found"] * 3
    assert judy.get("ABCD/redeem").status_code == 405
    assert GiftMisses.objects.count() == 2  # the last one is a code, of nobody


def test_an_earlier_code_of_12_characters_works(
    judy: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    give("ivan", 10)
    monkeypatch.setattr("gifts.code_format.new_code", lambda: "ABCDEFGHJKLM")
    gift("ivan")

    answer = judy.post("ABCD-EFGH-JKLM/redeem", {})

    assert answer.status_code == 200
    assert GiftCode.objects.get().status == "depleted"


def test_an_imported_code_of_6_characters_works(judy: Caller, imported: GiftCode) -> None:
    answer = judy.post("rvz5jg/redeem", {})

    assert answer.status_code == 200
    assert judy.get("me/received").json()[0]["code"] == "RVZ5JG"


def test_a_gift_that_was_redeemed_is_not_redeemed_again(judy: Caller, kate: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    judy.post(f"{made.code}/redeem", {})

    answers = [caller.post(f"{made.code}/redeem", {}) for caller in (judy, kate)]

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["code"] == "gift_not_redeemable"
        assert answer.json()["details"] == {"status": "depleted"}
    assert not Balance.objects.filter(pk="kate").exists()
    assert Balance.objects.get(pk="judy").posted == 10


def test_a_cancelled_gift_is_not_redeemed(ivan: Caller, judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    ivan.delete(f"{made.pk}")

    answer = judy.post(f"{made.code}/redeem", {})

    assert answer.status_code == 400
    assert answer.json()["details"] == {"status": "cancelled"}


def test_users_cannot_redeem_their_own_gift(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    answer = ivan.post(f"{made.code}/redeem", {})

    assert answer.status_code == 400
    assert answer.json()["code"] == "own_gift"
    assert GiftCode.objects.get().status == "active"
    assert Balance.objects.get(pk="ivan").posted == 0


def test_an_unknown_code_is_not_found(judy: Caller) -> None:
    for code in ("ABCDEFGHJKLM", "ABCDEF", "nonsense", "%00", "a" * 3000, "%F0%9F%8E%81"):
        answer = judy.post(f"{code}/redeem", {})

        assert answer.status_code == 404, code
        assert answer.json()["code"] == "gift_not_found"


def test_a_redeemed_gift_is_in_the_list_of_received_ones(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan", 2.5, message="Hi")
    judy.post(f"{made.code}/redeem", {"sourceAppId": "web"})
    row = GiftRedemption.objects.get()
    at = row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    answer = judy.get("me/received")

    assert answer.json() == [
        {
            "id": str(row.pk),
            "giftCodeId": str(made.pk),
            "redeemerUserId": "judy",
            "status": "success",
            "creditsReceived": 2.5,
            "creditTransactionId": str(Transaction.objects.get(user_id="judy").pk),
            "sourceAppId": "web",
            "createdAt": at,
            "code": made.code,
            "credits": 2.5,
            "message": "Hi",
            "creatorName": "Ivan",
            "redeemedAt": at,
        }
    ]


def test_the_list_of_received_gifts_has_pages(judy: Caller) -> None:
    give("ivan", 10)
    codes = [gift("ivan", n).code for n in (1, 2, 3)]
    for code in codes:
        judy.post(f"{code}/redeem", {})

    first = judy.get("me/received?limit=2")
    second = judy.get(first["Link"].partition(">")[0][1:].removeprefix("http://testserver"))

    assert [row["credits"] for row in first.json()] == [3, 2]
    assert [row["credits"] for row in second.json()] == [1]


def test_the_same_key_redeems_once_and_answers_the_same(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    body = {"idempotencyKey": "k1"}

    first, second = (judy.post(f"{made.code}/redeem", body) for _ in range(2))

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert GiftRedemption.objects.count() == 1


@pytest.mark.parametrize("change", [{"sourceAppId": "other"}, {}])
def test_the_same_key_for_another_request_is_refused(judy: Caller, change: dict[str, str]) -> None:
    give("ivan", 10)
    made, other = gift("ivan", 5), gift("ivan", 5)
    judy.post(f"{made.code}/redeem", {"idempotencyKey": "k1"})

    code = made.code if change else other.code
    answer = judy.post(f"{code}/redeem", {"idempotencyKey": "k1", **change})

    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_key_reused"
    assert Balance.objects.get(pk="judy").posted == 5


def test_bad_bodies_are_refused(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    for body in (b"null", b"[]", b'"x"', b"{", {"sourceAppId": 5}, {"sourceAppId": "a" * 101}):
        assert judy.post(f"{made.code}/redeem", body).status_code == 400
    assert GiftCode.objects.get().status == "active"


def test_without_a_token_nothing_is_redeemed(anonymous: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    answer = anonymous.post(f"/api/v1/gifts/{made.code}/redeem", {})

    assert answer.status_code == 401


@pytest.mark.usefixtures("committed")
def test_20_users_redeem_one_gift_at_once_and_one_gets_it() -> None:
    give("ivan", 10)
    made = gift("ivan")
    callers = [gifts_of(f"user-{index}") for index in range(20)]

    answers = at_once(20, lambda index: callers[index].post(f"{made.code}/redeem", {}))

    assert statuses(answers) == {200: 1, 400: 19}
    assert GiftRedemption.objects.count() == 1
    assert sum(Balance.objects.values_list("posted", flat=True)) == 10


@pytest.mark.usefixtures("committed")
def test_a_new_user_redeems_5_gifts_at_once(judy: Caller) -> None:
    give("ivan", 50)
    codes = [gift("ivan", 10).code for _ in range(5)]

    answers = at_once(5, lambda index: judy.post(f"{codes[index]}/redeem", {}))

    assert statuses(answers) == {200: 5}
    assert Balance.objects.get(pk="judy").posted == 50


@pytest.mark.usefixtures("committed")
def test_20_redeems_with_one_key_at_once_are_one(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    answers = at_once(20, lambda _: judy.post(f"{made.code}/redeem", {"idempotencyKey": "k1"}))

    assert statuses(answers) == {200: 20}
    assert len({answer.content for answer in answers}) == 1
    assert Balance.objects.get(pk="judy").posted == 10


def test_an_expired_gift_is_not_redeemed_from_its_first_millisecond(judy: Caller) -> None:
    give("ivan", Decimal(10))
    made = gift("ivan", at=datetime.now(UTC) - timedelta(days=1), days=1)

    answer = judy.post(f"{made.code}/redeem", {})

    assert answer.status_code == 400
    assert answer.json()["details"] == {"status": "expired"}
    assert not Balance.objects.filter(pk="judy").exists()
