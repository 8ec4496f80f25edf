"""Users create gifts."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from credits.models import Balance, Transaction
from gifts import code_format, codes
from gifts.models import GiftCode
from tests.api import Answer, Caller, at_once, statuses
from tests.conftest import gifts_of
from tests.factories import gift, give

pytestmark = pytest.mark.django_db
GIFTS = "/api/v1/gifts"


def create(caller: Caller, body: Any = None, **fields: Any) -> Answer:
    return caller.post(GIFTS, {"totalCredits": 10, **fields} if body is None else body)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_credits_leave_the_creator_and_the_answer_is_the_gift(ivan: Caller) -> None:
    give("ivan", 30)

    answer = create(
        ivan,
        totalCredits=25,
        type="personalized",
        targetEmail="Kate@Example.test",
        message="Happy birthday",
        expirationDays=7,
    )

    assert answer.status_code == 201
    body = answer.json()
    row = GiftCode.objects.get()
    code = row.code
    entry = Transaction.objects.get(type="gift")
    created = row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    expires = row.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert body == {
        "id": str(row.pk),
        "code": code,
        "shortUrl": f"http://localhost:3061/g/{code}",
        "url": f"http://localhost:3061/g/{code}",
        "creatorId": "ivan",
        "creatorName": "Ivan",
        "totalCredits": 25,
        "redeemed": 0,
        "type": "personalized",
        "status": "active",
        "targetEmail": "kate@example.test",
        "message": "Happy birthday",
        "expiresAt": expires,
        "reservationTransactionId": str(entry.pk),
        "createdAt": created,
        "updatedAt": created,
        "redeemedAt": None,
    }
    assert row.expires_at - row.created_at == timedelta(days=7)
    assert (entry.user_id, entry.amount, entry.cause) == (
        "ivan",
        Decimal(-25),
        f"gift-created:{row.pk}",
    )
    balance = Balance.objects.get(pk="ivan")
    assert [balance.posted, balance.total_spent] == [5, 25]


def test_a_gift_expires_after_90_days_by_default(ivan: Caller) -> None:
    give("ivan", 10)

    body = create(ivan).json()

    assert body["type"] == "simple"
    assert moment(body["expiresAt"]) - moment(body["createdAt"]) == timedelta(days=90)


def test_the_web_clients_aliases_are_understood(ivan: Caller) -> None:
    give("ivan", 10)
    end = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)

    answer = create(
        ivan, {"credits": 2.5, "expiresAt": end.isoformat(), "sourceAppId": "web", "type": "simple"}
    )

    assert answer.status_code == 201
    assert answer.json()["totalCredits"] == 2.5
    assert moment(answer.json()["expiresAt"]) == end
    assert Transaction.objects.get(type="gift").app_id == "web"


def test_codes_are_10_characters_of_the_alphabet_from_a_cryptographic_source(
    ivan: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    give("ivan", 10)
    drawn: list[str] = []

    def choice(alphabet: str) -> str:
        drawn.append(alphabet)
        return alphabet[len(drawn)]

    monkeypatch.setattr("secrets.choice", choice)

    answer = create(ivan)

    assert drawn == ["ABCDEFGHJKLMNPQRSTUVWXYZ23456789"] * 10
    assert answer.json()["code"] == "BCDEFGHJKL"


def test_codes_differ() -> None:
    codes_made = {code_format.new_code() for _ in range(1000)}

    assert len(codes_made) == 1000
    assert all(re.fullmatch("[A-HJ-NP-Z2-9]{10}", code) for code in codes_made)


def test_nobody_gives_what_they_do_not_have(ivan: Caller) -> None:
    give("ivan", 9)

    answer = create(ivan)

    assert answer.status_code == 402
    assert answer.json()["details"] == {"required": 10, "available": 9}
    assert not GiftCode.objects.exists()


def test_a_personalized_gift_needs_a_target_email(ivan: Caller) -> None:
    give("ivan", 10)

    for email in ({}, {"targetEmail": None}, {"targetEmail": ""}):
        answer = create(ivan, type="personalized", **email)

        assert answer.status_code == 400
        assert list(answer.json()["details"]) == ["targetEmail"]
    assert not GiftCode.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"totalCredits": 0},
        {"totalCredits": 0.9999},
        {"totalCredits": -1},
        {"totalCredits": 10_000.0001},
        {"totalCredits": 1.00001},
        {"totalCredits": "10"},
        {"totalCredits": True},
        {"totalCredits": None},
        {"totalCredits": 1e30},
        {"type": "lottery"},
        {"type": 1},
        {"type": "personalized", "targetEmail": "nobody"},
        {"type": "personalized", "targetEmail": 5},
        {"type": "personalized", "targetEmail": "\u212aate@example.test"},
        {"type": "personalized", "targetEmail": f"{'a' * 400}@example.test"},
        {"type": "simple", "targetEmail": "kate@example.test"},
        {"message": "a" * 501},
        {"message": "a\x00b"},
        {"message": "\ud800"},
        {"message": 5},
        {"expirationDays": 0},
        {"expirationDays": 366},
        {"expirationDays": 1.5},
        {"expirationDays": "7"},
        {"expiresAt": "yesterday"},
        {"expiresAt": "2020-01-01T00:00:00Z"},
        {"expiresAt": "9999-12-31T23:59:59Z"},
        {"sourceAppId": "a" * 101},
        {"idempotencyKey": "a" * 256},
    ],
)
def test_bad_values_are_refused_and_move_nothing(ivan: Caller, fields: dict[str, Any]) -> None:
    give("ivan", 20_000)

    answer = create(ivan, **fields)

    assert answer.status_code == 400
    assert not GiftCode.objects.exists()
    assert Balance.objects.get(pk="ivan").posted == 20_000


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"{"])
def test_bad_bodies_are_refused(ivan: Caller, body: bytes) -> None:
    assert create(ivan, body).status_code == 400


def test_the_smallest_and_the_largest_gift(ivan: Caller) -> None:
    give("ivan", 10_001)

    answers = [create(ivan, totalCredits=amount) for amount in (1, 10_000)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert Balance.objects.get(pk="ivan").posted == 0


def test_the_domain_itself_refuses_invalid_gifts() -> None:
    give("ivan", 20_000)

    with pytest.raises(codes.InvalidGiftAmount):
        gift("ivan", 10_001)
    with pytest.raises(codes.InvalidGiftAmount):
        gift("ivan", "0.5")
    with pytest.raises(codes.InvalidExpiry):
        gift("ivan", 10, days=366)
    assert not GiftCode.objects.exists()


def test_the_same_key_makes_one_gift(ivan: Caller) -> None:
    give("ivan", 30)

    first = create(ivan, idempotencyKey="k1")
    second = create(ivan, idempotencyKey="k1", message="texts may differ")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Balance.objects.get(pk="ivan").posted == 20


def test_null_in_an_optional_field_is_no_value(ivan: Caller) -> None:
    give("ivan", 10)
    names = ["type", "targetEmail", "message", "expirationDays", "expiresAt", "creatorName"]

    answer = create(ivan, **dict.fromkeys([*names, "sourceAppId", "idempotencyKey", "credits"]))

    assert answer.status_code == 201
    assert answer.json()["type"] == "simple"


@pytest.mark.parametrize(
    "change",
    [
        {"totalCredits": 11},
        {"sourceAppId": "other"},
        {"type": "personalized", "targetEmail": "kate@example.test"},
    ],
)
def test_the_same_key_for_another_gift_is_refused(ivan: Caller, change: dict[str, Any]) -> None:
    give("ivan", 30)
    create(ivan, idempotencyKey="k1")

    answer = create(ivan, idempotencyKey="k1", **change)

    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_key_reused"
    assert GiftCode.objects.count() == 1


def test_a_key_of_a_spend_makes_no_gift(ivan: Caller) -> None:
    give("ivan", 30)
    spend = {"amount": 10, "appId": "gifts", "description": "x", "idempotencyKey": "k1"}
    ivan.post("/api/v1/credits/use", spend)

    answer = create(ivan, idempotencyKey="k1")

    assert answer.status_code == 409
    assert Balance.objects.get(pk="ivan").posted == 20


def test_another_users_key_is_their_own(ivan: Caller, judy: Caller) -> None:
    give("ivan", 10)
    give("judy", 10)

    answers = [create(caller, idempotencyKey="k1") for caller in (ivan, judy)]

    assert [answer.json()["creatorId"] for answer in answers] == ["ivan", "judy"]


@pytest.mark.usefixtures("committed")
def test_20_gifts_of_10_at_once_on_a_balance_of_100_are_exactly_10(ivan: Caller) -> None:
    give("ivan", 100)

    answers = at_once(20, lambda _: create(ivan))

    assert statuses(answers) == {201: 10, 402: 10}
    assert GiftCode.objects.count() == 10
    assert Balance.objects.get(pk="ivan").posted == 0


@pytest.mark.usefixtures("committed")
def test_20_creations_with_one_key_at_once_are_one_gift(ivan: Caller) -> None:
    give("ivan", 100)

    answers = at_once(20, lambda _: create(ivan, idempotencyKey="k1"))

    assert statuses(answers) == {201: 20}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Balance.objects.get(pk="ivan").posted == 90


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ivan", "Ivan"),
        (None, None),
        ("ivan@example.test", None),
        ("ivan\uff20example.test", None),
        ("  \x00\u0007 ", None),
        ("I\x00van", "I van"),
        ("a" * 500, "a" * 100),
    ],
)
def test_the_creators_name_is_the_tokens_and_never_an_email_address(
    name: str | None, shown: str | None
) -> None:
    give("ivan", 10)

    answer = create(gifts_of("ivan", name=name, email="ivan@example.test"))

    assert answer.json()["creatorName"] == shown
    assert "ivan@example.test" not in answer.content.decode()


def test_the_list_of_created_gifts_has_pages_newest_first(ivan: Caller, judy: Caller) -> None:
    give("ivan", 10)
    give("judy", 10)
    for amount in (1, 2, 3):
        gift("ivan", amount)
    gift("judy", 9)

    first = ivan.get("me/created?limit=2")
    second = ivan.get(first["Link"].partition(">")[0][1:].removeprefix("http://testserver"))

    assert [row["totalCredits"] for row in first.json()] == [3, 2]
    assert [row["totalCredits"] for row in second.json()] == [1]
    assert "Link" not in second
    assert ivan.get("me/created?limit=0").status_code == 400


def test_the_list_of_created_gifts_says_what_became_of_them(ivan: Caller, judy: Caller) -> None:
    give("ivan", 10)
    redeemed, cancelled = gift("ivan", 1), gift("ivan", 2)
    gift("ivan", 3, at=datetime.now(UTC) - timedelta(days=2), days=1)
    judy.post(f"{redeemed.code}/redeem", {})
    ivan.delete(f"{cancelled.pk}")

    rows = ivan.get("me/created").json()

    assert [(row["status"], row["redeemed"]) for row in rows] == [
        ("expired", 0),
        ("cancelled", 0),
        ("depleted", 1),
    ]


@pytest.mark.parametrize("path", [GIFTS, f"{GIFTS}/me/created", f"{GIFTS}/me/received"])
def test_without_a_token_nothing_is_made_or_listed(anonymous: Caller, path: str) -> None:
    answer = anonymous.post(path, {"totalCredits": 1}) if path == GIFTS else anonymous.get(path)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"total_credits": Decimal("0.5")}, "gift_credits_from_1_to_10000"),
        ({"total_credits": Decimal(10_001)}, "gift_credits_from_1_to_10000"),
        ({"type": "personalized"}, "gift_has_target_email_if_and_only_if_personalized"),
        ({"target_email": "a@b.c"}, "gift_has_target_email_if_and_only_if_personalized"),
        ({"type": "personalized", "target_email": "A@b.c"}, "gift_target_email_in_lower_case"),
        ({"type": "personalized", "target_email": ""}, "gift_target_email_not_empty"),
        ({"creator_name": "i@x.test"}, "gift_creator_name_is_no_email_address"),
        ({"code": "ABCDEFGHIJKL"}, "gift_code_in_alphabet"),
        ({"code": "ABCDEFG"}, "gift_code_in_alphabet"),
        ({"status": "lost"}, "gift_status_known"),
        ({"campaign_number": 1}, "gift_is_numbered_in_its_campaign"),
    ],
)
def test_the_database_refuses_invalid_gifts(change: dict[str, Any], constraint: str) -> None:
    give("ivan", 20)
    row = gift("ivan")
    other = give("judy", 1).transaction
    copy = {
        field.attname: getattr(row, field.attname)
        for field in GiftCode._meta.concrete_fields
        if field.attname not in {"id", "number"}
    }
    copy.update(code="ABCDEFGHJKLM", payment_id=other.pk)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        GiftCode.objects.create(**{**copy, **change})
