"""Invalid paths and queries are rejected with a message that names the error."""

from typing import Any

import pytest

from tests.api import Caller
from tests.refusals import INTERNAL, assert_refused

pytestmark = pytest.mark.django_db
refusing = pytest.mark.usefixtures("nothing_stored")


@refusing
@pytest.mark.parametrize("ask", [Caller.get, Caller.delete])
@pytest.mark.parametrize(
    "user_id",
    ["%00", "a%00b", "x" * 256, "x" * 8000, "a%1Bb", "a%C2%85b", "%20", "%C2%A0%20", "%EF%BB%BF"],
)
def test_an_ill_user_in_the_path_is_named(caller: Caller, ask: Any, user_id: str) -> None:
    answer = ask(caller, INTERNAL + "balance/" + user_id)

    assert_refused(answer, "userId")


@refusing
@pytest.mark.parametrize("ask", [Caller.get, Caller.delete])
@pytest.mark.parametrize("user_id", ["", "a%0Ab", "%0D"])
def test_a_path_with_an_invalid_user_id_is_refused(caller: Caller, ask: Any, user_id: str) -> None:
    answer = ask(caller, INTERNAL + "balance/" + user_id)

    assert answer.status_code in {400, 404}
    assert answer.json()["code"] in {"validation_failed", "not_found"}


@refusing
@pytest.mark.parametrize("ask", [Caller.get, lambda caller, path: caller.post(f"{path}/cancel")])
def test_an_ill_purchase_in_the_path_is_named(alice: Caller, ask: Any) -> None:
    answer = ask(alice, "/api/v1/credits/purchase/no-uuid")

    assert_refused(answer, "purchaseId")


@refusing
@pytest.mark.parametrize("user_id", ["a%2Fb", "%F0%9F%98%80", "..", "a%20b"])
def test_any_other_id_is_an_unknown_user(caller: Caller, user_id: str) -> None:
    balance = caller.get(INTERNAL + "balance/" + user_id)
    erased = caller.delete(INTERNAL + "balance/" + user_id)

    assert balance.json() == {
        "balance": 0,
        "totalEarned": 0,
        "totalSpent": 0,
        "held": 0,
        "expiring": [],
        "transactionsCount": 0,
    }
    assert erased.json() == {"deletedCount": 0}


BROKEN = ("%FF", "a%ffb", "%ED%A0%80", "%C3")


@refusing
@pytest.mark.parametrize("text", [*BROKEN, "%25FF"])
@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (Caller.get, INTERNAL + "balance/"),
        (Caller.delete, INTERNAL + "balance/"),
        (Caller.get, "internal/sync/status/"),
        (Caller.get, "gifts/"),
        (Caller.get, "/g/"),
    ],
)
def test_a_path_that_is_not_utf_8_is_refused(
    caller: Caller, ask: Any, path: str, text: str
) -> None:
    answer = ask(caller, path + text)

    assert_refused(answer, "path", code="bad_request")


@refusing
@pytest.mark.parametrize("text", BROKEN)
def test_a_query_that_is_not_utf_8_is_refused(caller: Caller, text: str) -> None:
    answer = caller.get(f"credits/transactions?appId={text}")

    assert_refused(answer, "query", code="bad_request")


@refusing
@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("credits/transactions", "limit=1&limit=2", "limit"),
        ("credits/transactions", "limit=1&limit=1", "limit"),
        ("credits/transactions", "cursor=5&limit=1&cursor=6", "cursor"),
        ("credits/transactions", "type=usage&type=gift", "type"),
        ("credits/transactions", "from=2026-01-01&from=2026-01-02", "from"),
        ("credits/usage", "to=2026-01-01&to=2026-01-02", "to"),
        ("credits/purchases", "offset=0&offset=1", "offset"),
        ("gifts/me/created", "limit=1&limit=", "limit"),
        ("gifts/me/received", "offset=1&offset=2", "offset"),
    ],
)
def test_a_parameter_that_is_given_twice_is_named(
    caller: Caller, path: str, query: str, field: str
) -> None:
    answer = caller.get(f"{path}?{query}")

    assert_refused(answer, field)


@refusing
@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("limit=0", "Ensure this value is greater than or equal to 1."),
        ("limit=-1", "Ensure this value is greater than or equal to 1."),
        ("offset=-1", "Ensure this value is greater than or equal to 0."),
        ("offset=-0", "A whole number in digits is expected."),
        ("cursor=1_0", "A whole number in digits is expected."),
    ],
)
def test_the_error_of_a_number_names_what_is_expected(
    caller: Caller, parameter: str, message: str
) -> None:
    answer = caller.get(f"credits/transactions?{parameter}")

    assert answer.json()["details"] == {parameter.partition("=")[0]: [message]}


@refusing
@pytest.mark.parametrize("path", ["credits/transactions", "credits/usage"])
def test_a_span_that_ends_before_it_begins_is_refused_by_every_list(
    caller: Caller, path: str
) -> None:
    answer = caller.get(f"{path}?from=2026-11-23&to=2026-11-22")
    one_day = caller.get(f"{path}?from=2026-11-22&to=2026-11-22")

    assert_refused(answer, "from", code="invalid_span")
    assert one_day.status_code == 200


NO_DATE = (
    *("", "x", "5", "2026-13-01", "2026-02-30", "%00", "2026-11-22T25:00", "99999-01-01"),
    *("20261122", "2026-W48-1", "%EF%BC%92026-11-22"),
    # Only some releases of Python read these.
    *("2026-11-22T10", "2026-11-22T100000Z", "2026-11-22T10:00:00,5Z", "2026-11-22T24:00:00Z"),
    *("2026-11-22T10:00:00%2B05:45:30", "2026-11-22T10:00:00%2B05:60", "2026-11-22x10:00:00Z"),
)
QUERIES: dict[str, dict[str, tuple[str, ...]]] = {
    "credits/transactions": {
        "limit": (
            *("", "abc", "-1", "0", "1.5", "NaN", "1e3", "%00", "9" * 2000, "true"),
            *("1_0", "%EF%BC%91", "%2B5", "%205", "5.0"),
        ),
        "offset": ("", "abc", "-1", "1.5", "%00", "1000001", "9" * 40),
        "cursor": ("", "abc", "-1", "0", "1.5", "%00", str(2**63)),
        "type": ("", "theft", "%00", "USAGE", "%F0%9F%98%80"),
        "appId": ("", "%00", "x" * 101, "a%0Ab", "%20"),
        "from": (*NO_DATE, "0001-01-01T00:00:00%2B23:59"),
        "to": (*NO_DATE, "9999-12-31T23:59:59-23:59"),
    },
    "credits/usage": {"from": NO_DATE, "to": NO_DATE},
}


@refusing
@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, fields in QUERIES.items() for field in fields]
)
def test_an_ill_parameter_is_named(caller: Caller, path: str, field: str) -> None:
    values = QUERIES[path][field]

    answers = {value: caller.get(f"{path}?{field}={value}") for value in values}

    for value, answer in answers.items():
        assert answer.status_code == 400, value
        assert_refused(answer, field)
