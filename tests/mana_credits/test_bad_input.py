"""Invalid input: every answer names the error, and nothing is stored."""

import gzip
import json
from typing import Any

import pytest

from credits.models import Transaction
from tests.api import Caller, use
from tests.refusals import INTERNAL, assert_refused

pytestmark = pytest.mark.django_db

USER = {"userId": "alice"}
PAYMENT = {"amount": 1, "description": "GPT-4 message"}
USE = {**PAYMENT, "appId": "chat", "metadata": {}, "idempotencyKey": "k"}
HOLD = {"reservationId": "", "idempotencyKey": "k"}
# Every field of the endpoint. The first element lists the required fields.
POSTS: dict[str, tuple[set[str], dict[str, Any]]] = {
    "credits/use": ({"amount", "appId", "description"}, USE),
    INTERNAL + "init": ({"userId"}, USER),
    INTERNAL + "use": ({"userId", "amount", "appId", "description"}, USER | USE),
    INTERNAL + "refund": (
        {"userId", "amount", "description"},
        USER | USE | {"transactionId": None},
    ),
    INTERNAL + "grant": (
        {"userId", "amount", "reason", "referenceId"},
        USER | PAYMENT | {"reason": "welcome", "referenceId": "r-1", "idempotencyKey": "k"},
    ),
    INTERNAL + "reserve": (
        {"userId", "amount", "reason"},
        USER | {"amount": 1, "reason": "research:x", "ttlSeconds": 9, "idempotencyKey": "k"},
    ),
    INTERNAL + "commit": ({"reservationId"}, PAYMENT | HOLD),
    INTERNAL + "refund-reservation": ({"reservationId"}, HOLD),
}

# Raw values in the body, as some JSON writers produce them.
NO_TEXT = ["5", "true", "[]", "{}", '["a"]', r'"a\u0000b"', r'"\ud800"']
NO_USER_ID = [r'"bob "', r'"\u00a0bob"', r'"bob\u200b"', r'"\ufeffbob"']
NO_LABEL = [*NO_TEXT, r'"a\nb"', r'"a\u001bb"', r'"a\u0085b"', '"  "', r'"\u00a0\ufeff\u3000"']
UUID = "f91aed79-86e2-4a3c-9d53-0d7c1a2b3c4d"
NO_UUID = [
    *("5", "true", "[]", "{}", '""', '"1"', '"not-a-uuid"', r'"\u0000"', r'"\ud800"'),
    *(f'"{UUID.replace("-", "")}"', f'"{{{UUID}}}"', f'"urn:uuid:{UUID}"', f'" {UUID}"'),
]


def too_long(length: int) -> str:
    return json.dumps("x" * (length + 1))


ILL: dict[str, list[str]] = {
    "amount": [
        *("0", "0.0", "-0", "-1", "-0.5", "0.00001", "1.00001", '"5"', '""', "true", "[]", "{}"),
        *("[5]", "1e400", "1e-400", "9" * 12, "9" * 4000),
        *("1" * 11 + ".12345", "100000000000.0000", str(2**63), str(-(2**64))),
    ],
    "userId": [*NO_LABEL, *NO_USER_ID, '""', too_long(255), too_long(8000)],
    "appId": [*NO_LABEL, '""', too_long(100)],
    "description": [*NO_TEXT, too_long(500), too_long(200_000)],
    "reason": [*NO_LABEL, '""', too_long(200)],
    "referenceId": [*NO_LABEL, '""', too_long(128)],
    "idempotencyKey": [*NO_LABEL, too_long(255)],
    "metadata": [
        *("5", '"{}"', "true", "[]", '[{"a":1}]', r'{"a":"\u0000"}', r'{"a\u0000":1}'),
        *(r'{"a":[{"b":"\ud800"}]}', '{"a":1e400}', json.dumps({"a": "x" * 16 * 1024})),
    ],
    "transactionId": NO_UUID,
    "reservationId": NO_UUID,
    "ttlSeconds": ["0", "-1", "604801", "1.5", '"60"', "true", "[]", "9" * 400],
}
# Bodies that are not JSON, and the error in the message.
NO_JSON = {
    "an open brace": (b"{", "syntax error at line 1, column 2: "),
    "a word": (b"balance", "syntax error at line 1, column 1: "),
    "single quotes": (b"{'amount':1}", "syntax error at line 1, column 2: "),
    "a form": (b"amount=1&appId=chat", "syntax error at line 1, column 1: "),
    "two objects": (b"{}\n{}", "syntax error at line 2, column 1: "),
    "NaN": (b'{"amount":NaN}', "NaN is not a JSON number"),
    "Infinity": (b'{"amount":Infinity}', "Infinity is not a JSON number"),
    "-Infinity": (b'{"amount":-Infinity}', "-Infinity is not a JSON number"),
    "5,000 digits": (b'{"amount":' + b"9" * 5000 + b"}", "a number is out of range"),
    "an exponent of 20 digits": (b'{"amount":1e99999999999999999999}', "a number is out of range"),
    "Latin-1": ('{"description":"é"}'.encode("latin-1"), "byte 17 is not UTF-8"),
    "UTF-16": ('{"amount":1}'.encode("utf-16"), "byte 1 is not UTF-8"),
    "gzip": (gzip.compress(b"{}"), "compressed bodies are not supported"),
    "two byte order marks": (b"\xef\xbb\xbf" * 2 + b"{}", "syntax error at line 1, column 1: "),
    "a NUL": (b"\x00", "syntax error at line 1, column 1: "),
    "a raw control character": (b'{"description":"a\nb"}', "syntax error at line 1, column 18: "),
    "brackets 100,000 deep": (b"[" * 100_000, "it is nested too deeply"),
    "objects 40,000 deep": (b'{"a":' * 40_000, "it is nested too deeply"),
}
NO_OBJECT = [b"null", b"[]", b'[{"amount":1}]', b'"amount"', b"5", b"true"]


def complete(path: str, reservation: str) -> dict[str, Any]:
    body = POSTS[path][1]
    return {**body, "reservationId": reservation} if "reservationId" in body else body


def with_raw(body: dict[str, Any], field: str, raw: str) -> bytes:
    """Return `body` as JSON, with the text `raw` as the value of `field`."""
    return json.dumps({**body, field: "<raw>"}).replace('"<raw>"', raw).encode()


every_post = pytest.mark.parametrize("path", POSTS)
refusing = pytest.mark.usefixtures("nothing_stored")


@every_post
def test_the_complete_body_is_taken(caller: Caller, reservation: str, path: str) -> None:
    answer = caller.post(path, complete(path, reservation))

    assert answer.status_code == 200, answer.json()


@every_post
def test_a_byte_order_mark_is_ignored(caller: Caller, reservation: str, path: str) -> None:
    answer = caller.post(path, b"\xef\xbb\xbf" + json.dumps(complete(path, reservation)).encode())

    assert answer.status_code == 200


@refusing
@every_post
@pytest.mark.parametrize(("body", "reason"), NO_JSON.values(), ids=NO_JSON)
def test_a_body_that_is_not_json_is_refused_with_the_reason(
    caller: Caller, path: str, body: bytes, reason: str
) -> None:
    answer = caller.post(path, body)

    assert_refused(answer, code="invalid_json")
    assert answer.json()["message"].startswith(f"The body is not valid JSON: {reason}")
    assert answer.json()["details"] == {"body": [answer.json()["message"]]}


@refusing
@every_post
@pytest.mark.parametrize("body", NO_OBJECT)
def test_json_other_than_an_object_is_refused(caller: Caller, path: str, body: bytes) -> None:
    answer = caller.post(path, body)

    assert_refused(answer, "body")


@refusing
@every_post
@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"{}"])
def test_an_empty_body_lacks_every_required_field(caller: Caller, path: str, body: bytes) -> None:
    answer = caller.post(path, body)

    assert_refused(answer, *POSTS[path][0])
    texts = {text for texts in answer.json()["details"].values() for text in texts}
    assert texts <= {
        "This field is required.",
        "This field is required, unless there is an operation.",
    }


@refusing
@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path in POSTS for field in sorted(POSTS[path][0])]
)
@pytest.mark.parametrize("raw", ["missing", "null"])
def test_a_required_field_is_missing_or_null(
    caller: Caller, reservation: str, path: str, field: str, raw: str
) -> None:
    body = complete(path, reservation)
    if raw == "null":
        body = {**body, field: None}
    else:
        body = {name: value for name, value in body.items() if name != field}

    answer = caller.post(path, body)

    assert_refused(answer, field)


@pytest.mark.parametrize(
    ("path", "field", "raw"),
    [
        (path, field, raw)
        for path, (required, body) in POSTS.items()
        for raw, fields in (("null", body.keys() - required), ('""', {"description"} & body.keys()))
        for field in sorted(fields)
    ],
)
def test_null_and_an_empty_description_are_taken_as_by_the_earlier_service(
    caller: Caller, reservation: str, path: str, field: str, raw: str
) -> None:
    answer = caller.post(path, with_raw(complete(path, reservation), field, raw))

    assert answer.status_code == 200, answer.json()


@refusing
@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, (_, body) in POSTS.items() for field in body]
)
def test_an_ill_field_is_named(caller: Caller, reservation: str, path: str, field: str) -> None:
    body = complete(path, reservation)

    answers = {raw: caller.post(path, with_raw(body, field, raw)) for raw in ILL[field]}

    for raw, answer in answers.items():
        assert answer.status_code == 400, raw
        assert_refused(answer, field)


@refusing
@every_post
def test_every_ill_field_is_named_at_once(caller: Caller, path: str) -> None:
    body: dict[str, Any] = {field: [] for field in POSTS[path][1]}

    answer = caller.post(path, body)

    assert_refused(answer, *body)


@refusing
@every_post
def test_a_body_of_one_byte_too_many_is_too_large(
    caller: Caller, reservation: str, path: str
) -> None:
    body = json.dumps(complete(path, reservation)).encode().ljust(256 * 1024 + 1)

    answer = caller.post(path, body)

    assert_refused(answer, status=413, code="body_too_large")


@every_post
def test_a_body_of_256_kib_is_taken(caller: Caller, reservation: str, path: str) -> None:
    body = json.dumps(complete(path, reservation)).encode().ljust(256 * 1024)

    answer = caller.post(path, body)

    assert answer.status_code == 200


@refusing
@every_post
@pytest.mark.parametrize("key", ["x" * 256, "a\x1bb", "a\x00b"])
def test_an_ill_idempotency_key_in_the_header_is_named(
    caller: Caller, reservation: str, path: str, key: str
) -> None:
    answer = caller.post(path, complete(path, reservation), headers={"Idempotency-Key": key})

    assert_refused(answer, "idempotencyKey")


@refusing
@pytest.mark.parametrize("path", [path for path in POSTS if path.startswith(INTERNAL)])
@pytest.mark.parametrize("name", ["x" * 101, "a\x1bb", "a\x00b", " \t"])
def test_an_ill_name_of_the_calling_service_is_named(
    caller: Caller, reservation: str, path: str, name: str
) -> None:
    answer = caller.post(path, complete(path, reservation), headers={"X-App-Id": name})

    assert_refused(answer, "appId")


def test_metadata_nests_100_levels_deep_and_no_deeper(caller: Caller, reservation: str) -> None:
    """Deeper values could be stored, but never rendered again."""
    answers = {
        depth: caller.post("credits/use", with_raw(use(0.1), "metadata", nested))
        for depth in (1, 100, 101, *range(900, 1000, 5))
        for nested in ['{"a":' * depth + "1" + "}" * depth]
    }

    taken = [depth for depth, answer in answers.items() if answer.status_code == 200]
    refused = [depth for depth, answer in answers.items() if answer.status_code == 400]
    assert (taken, taken + refused) == ([1, 100], list(answers))
    assert_refused(answers[101], "metadata")
    assert Transaction.objects.filter(type="usage").count() == 2


@pytest.mark.parametrize(("count", "status"), [(50, 200), (60, 400)])
def test_numbers_in_metadata_count_as_long_as_they_come_back(
    caller: Caller, reservation: str, count: int, status: int
) -> None:
    """1e308 has 5 bytes in the request and 309 in the response."""
    numbers = f'{{"a": [{",".join(["1e308"] * count)}]}}'

    answer = caller.post("credits/use", with_raw(use(0.1), "metadata", numbers))

    assert answer.status_code == status
    assert Transaction.objects.filter(type="usage").count() == (1 if status == 200 else 0)
