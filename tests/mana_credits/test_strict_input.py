"""Ambiguous input is rejected and changes nothing."""

import json
from typing import Any

import pytest

from credits.ledger import ledger
from gifts.models import GiftCode
from tests.api import Caller, use
from tests.factories import gift, give
from tests.mana_credits.test_bad_input import POSTS, complete
from tests.refusals import INTERNAL, assert_refused

pytestmark = pytest.mark.django_db
refusing = pytest.mark.usefixtures("nothing_stored")
REPEATED = ["This key is repeated in its object."]
UNKNOWN = {"operation": "none", "appId": "chat", "description": "GPT-4 message"}


@refusing
@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, (_, body) in POSTS.items() for field in body]
)
def test_a_field_that_is_given_twice_is_named(
    caller: Caller, reservation: str, path: str, field: str
) -> None:
    body = complete(path, reservation)
    twice = f"{{{json.dumps(field)}:{json.dumps(body[field])},{json.dumps(body)[1:]}"

    answer = caller.post(path, twice.encode())

    assert_refused(answer, field)
    assert answer.json()["details"] == {field: REPEATED}


@refusing
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"metadata":{"a":1,"a":2}}', "a"),
        ('{"metadata":{"a":[{"b":{"c":1,"c":1}}]}}', "c"),
        (r'{"a":1,"\u0061":2}', "a"),
        ('{"nobody knows it":1,"nobody knows it":1}', "nobody knows it"),
        (r'{"\u0000":1,"\u0000":2}', "body"),
        (r'{"\ud800":1,"\ud800":2}', "body"),
        (f'{{"{"x" * 65}":1,"{"x" * 65}":2}}', "body"),
        ('[{"a":1,"a":2}]', "a"),
    ],
)
def test_a_key_is_repeated_at_no_depth(caller: Caller, body: str, named: str) -> None:
    answer = caller.post("credits/use", body.encode())

    assert_refused(answer, named)
    assert answer.json()["details"] == {named: REPEATED}


def test_a_body_of_nothing_but_different_keys_is_read_at_once(caller: Caller) -> None:
    many = json.dumps({f"k{index}": 0 for index in range(20_000)})
    last = f'{many[:-1]},"k19999":0}}'

    assert_refused(caller.post("credits/use", last.encode()), "k19999")


@refusing
@pytest.mark.parametrize("path", POSTS)
def test_two_idempotency_keys_are_refused(caller: Caller, reservation: str, path: str) -> None:
    body = complete(path, reservation) | {"idempotencyKey": "k-body"}
    answer = caller.post(path, body, headers={"Idempotency-Key": "k-header"})

    if path == INTERNAL + "init":  # it has no key: this route does not know the body's field
        assert answer.status_code == 200
        return
    assert_refused(answer, "idempotencyKey")


@pytest.mark.parametrize("in_body", ["k-1", "", None])
def test_one_idempotency_key_may_stand_in_both_places(caller: Caller, in_body: Any) -> None:
    give("alice", 100)
    body = use(2, idempotencyKey=in_body)

    first = caller.post("credits/use", body, headers={"Idempotency-Key": "k-1"})
    again = caller.post("credits/use", use(2, idempotencyKey="k-1"))

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["message"] == "Transaction already processed"
    assert ledger.balance_of("alice").posted == 98


def test_a_key_in_utf_8_is_the_same_in_the_header_and_in_the_body(caller: Caller) -> None:
    give("alice", 100)
    in_header = "größe-1".encode().decode("latin-1")  # as WSGI passes the bytes

    first = caller.post("credits/use", use(2), headers={"Idempotency-Key": in_header})
    again = caller.post("credits/use", use(2, idempotencyKey="größe-1"))

    assert first.json()["transaction"]["idempotencyKey"] == "größe-1"
    assert again.json()["transaction"]["id"] == first.json()["transaction"]["id"]
    assert ledger.balance_of("alice").posted == 98


@refusing
@pytest.mark.parametrize(
    ("header", "field"), [("Idempotency-Key", "idempotencyKey"), ("X-App-Id", "appId")]
)
def test_a_header_that_is_not_utf_8_is_refused(caller: Caller, header: str, field: str) -> None:
    answer = caller.post(
        INTERNAL + "use", use(1, userId="alice"), headers={header: b"\xff".decode("latin-1")}
    )

    assert_refused(answer, field)


def test_without_an_amount_the_operation_is_named_too(caller: Caller) -> None:
    answer = caller.post("credits/use", {"appId": "chat", "description": "GPT-4 message"})

    assert_refused(answer, "amount")
    assert "operation" in answer.json()["details"]["amount"][0]


@refusing
@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("credits/use", UNKNOWN, "unknown_operation", "operation"),
        ("gifts", {"totalCredits": 1, "expiresAt": "2020-01-01"}, "invalid_expiry", "expiresAt"),
        ("sync/change-interval", {"interval": "yearly"}, "sync_inactive", "body"),
    ],
)
def test_a_refusal_by_the_domain_has_details_too(
    caller: Caller, path: str, body: dict[str, Any], code: str, field: str
) -> None:
    answer = caller.post(path, body)

    assert_refused(answer, field, code=code)
    assert answer.json()["details"] == {field: [answer.json()["message"]]}


def test_the_two_names_of_a_gifts_credits_agree(caller: Caller) -> None:
    give("alice", 100)

    differ = caller.post("gifts", {"totalCredits": 5, "credits": 6})
    agree = caller.post("gifts", {"totalCredits": 5, "credits": 5.0})

    assert_refused(differ, "credits")
    assert (agree.status_code, agree.json()["totalCredits"]) == (201, 5)
    assert GiftCode.objects.count() == 1
    assert ledger.balance_of("alice").posted == 95


def test_a_whole_number_may_be_written_with_a_fraction_of_zero(caller: Caller) -> None:
    give("alice", 100)

    reserved = caller.post(
        INTERNAL + "reserve", b'{"userId":"alice","amount":5,"reason":"x","ttlSeconds":60.0}'
    )

    assert reserved.status_code == 200
    assert ledger.balance_of("alice").held == 5


@refusing
@pytest.mark.parametrize("number", ["60.5", "1e400", "1e99999", "1e-99999"])
def test_a_whole_number_has_no_fraction(caller: Caller, number: str) -> None:
    body = f'{{"userId":"alice","amount":5,"reason":"x","ttlSeconds":{number}}}'

    assert_refused(caller.post(INTERNAL + "reserve", body.encode()), "ttlSeconds")


@refusing
@pytest.mark.parametrize("moment", ["20261122", 20261122, "2026-W48-1", 5, True, []])
def test_a_moment_has_one_form(caller: Caller, moment: Any) -> None:
    answer = caller.post("gifts", {"totalCredits": 1, "expiresAt": moment})

    assert_refused(answer, "expiresAt")


def test_one_key_does_not_stop_pending_gifts_from_arriving(caller: Caller) -> None:
    """Each gift arrives once anyway. One key could not cover several movements."""
    give("ivan", 100)
    for amount in (5, 7):
        gift("ivan", amount, target_email="kate@example.test")
    body = {"userId": "kate", "email": "kate@example.test"}

    answer = caller.post("internal/gifts/redeem-pending", body, headers={"Idempotency-Key": "k-1"})
    again = caller.post("internal/gifts/redeem-pending", body, headers={"Idempotency-Key": "k-1"})

    assert (answer.status_code, answer.json()) == (200, {"redeemed": 2, "totalCredits": 12})
    assert (again.status_code, again.json()) == (200, {"redeemed": 0, "totalCredits": 0})
    assert ledger.balance_of("kate").posted == 12
