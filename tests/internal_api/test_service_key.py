"""Services need a valid service key."""

import pytest

from credits.models import Balance
from tests.api import Answer, Caller, use
from tests.environment import PROVIDER, SERVICE_KEY
from tests.factories import give

pytestmark = pytest.mark.django_db

POSTS = ("init", "use", "refund", "grant", "reserve", "commit", "refund-reservation")


def with_key(key: str) -> Caller:
    return Caller({"X-Service-Key": key}, prefix="/api/v1/internal/credits/")


def assert_refused(answer: Answer) -> None:
    assert answer.status_code == 401
    assert answer.json() == {
        "statusCode": 401,
        "message": "Invalid or missing service key",
        "code": "not_authenticated",
    }
    assert answer["WWW-Authenticate"] == "X-Service-Key"


@pytest.mark.parametrize("key", [SERVICE_KEY, "the-next-service-key-81bd"])
def test_each_of_the_rotated_keys_opens(key: str) -> None:
    give("alice", 5)

    answer = with_key(key).get("balance/alice")

    assert answer.status_code == 200
    assert answer.json()["balance"] == 5


@pytest.mark.parametrize(
    "key",
    [
        *("", "wrong", "é", "\xff\xfe", "\x00", SERVICE_KEY[:-1], SERVICE_KEY + "x", " "),
        *(SERVICE_KEY.upper(), f"{SERVICE_KEY},the-next-service-key-81bd", "," + SERVICE_KEY, ","),
        f"Bearer {SERVICE_KEY}",
    ],
)
def test_any_other_key_is_refused(key: str) -> None:
    give("alice", 5)

    answer = with_key(key).post("use", use(1, userId="alice"))

    assert_refused(answer)
    assert Balance.objects.get(pk="alice").posted == 5


@pytest.mark.parametrize("path", POSTS)
def test_no_key_at_all_is_refused_before_the_body_is_read(path: str) -> None:
    answer = Caller({}, prefix="/api/v1/internal/credits/").post(path, b"{")

    assert_refused(answer)


def test_no_key_at_all_sees_and_erases_nothing() -> None:
    give("alice", 5)
    nobody = Caller({}, prefix="/api/v1/internal/credits/")

    assert_refused(nobody.get("balance/alice"))
    assert_refused(nobody.delete("balance/alice"))
    assert Balance.objects.get(pk="alice").posted == 5


def test_a_users_token_is_no_service_key_and_a_service_key_no_token() -> None:
    user = Caller.with_token(PROVIDER.token("alice"))
    service = with_key(SERVICE_KEY)

    assert_refused(user.get("/api/v1/internal/credits/balance/alice"))
    assert service.get("/api/v1/credits/balance").status_code == 401
