"""Services read balances and erase personal data."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import IntegrityError, connection

from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, Reservation, Transaction, UsageStat
from mana_credits.privacy import erasure
from tests.api import Caller, use
from tests.factories import give, hold, spend
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

ODD_IDS = [
    "a/b",
    "a/b/",
    "/a",
    "a//b",
    "50%",
    "50%25",
    "%2F",
    "jürgen",
    "two words",
    "🙂",
    "a?b#c&d=e",
    "a+b",
    "..",
    "a:b",
    "'; --",
    "u" * 255,
]


@pytest.mark.parametrize("user_id", ODD_IDS)
def test_any_printable_id_stands_in_the_path(service: Caller, user_id: str) -> None:
    give(user_id, 10)
    give("other", 99)
    spend(user_id, 2.5)
    hold(user_id, 1)

    answer = service.get(f"balance/{quote(user_id, safe='')}")

    assert answer.status_code == 200
    assert answer.json() == {
        "balance": 6.5,
        "totalEarned": 10,
        "totalSpent": 2.5,
        "held": 1,
        "expiring": [],
        "transactionsCount": 2,
    }


def test_to_ask_for_a_balance_makes_no_row(service: Caller) -> None:
    answer = service.get("balance/nobody")

    assert answer.json() == {
        "balance": 0,
        "totalEarned": 0,
        "totalSpent": 0,
        "held": 0,
        "expiring": [],
        "transactionsCount": 0,
    }
    assert not Balance.objects.exists()


def test_a_debt_is_shown_as_it_is(service: Caller) -> None:
    give("alice", 10)
    ledger.adjust("alice", Decimal("-12.5"), memo=Memo(), origin=Origin("operator:anna"))

    answer = service.get("balance/alice").json()

    assert (answer["balance"], answer["totalEarned"], answer["totalSpent"]) == (-2.5, 0, 2.5)


@pytest.mark.parametrize("user_id", ["a%00b", "%01", "%7F", "%C2%85", "u" * 256])
@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_id_that_nobody_has_is_refused(service: Caller, method: str, user_id: str) -> None:
    answer = getattr(service, method)(f"balance/{user_id}")

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["userId"]
    assert not Balance.objects.exists()


@pytest.mark.parametrize("user_id", ["a%0Ab", "%0A", ""])
def test_a_path_that_names_nobody_is_unknown(service: Caller, user_id: str) -> None:
    answer = service.get(f"balance/{user_id}")

    assert answer.status_code == 404
    assert answer.json() == {"statusCode": 404, "message": "Not found", "code": "not_found"}
    assert not Balance.objects.exists()


def test_bytes_that_are_not_text_are_refused(service: Caller) -> None:
    answer = service.get("balance/%FF%FE")

    assert answer.status_code == 400
    assert answer.json()["details"] == {"path": ["The path is not UTF-8."]}


@pytest.fixture
def kate(service: Caller) -> str:
    """Return the id of a user with rows in every table."""
    user_id = "kate_50%@example.test"
    named = {"userId": user_id}
    grant = {**named, "amount": 100, "reason": "trace-reason", "referenceId": "trace-reference"}
    texts = {"description": "trace-text", "metadata": {"trace-name": ["trace-value"]}}
    headers = {"X-Request-Id": "trace-request"}
    service.post("grant", {**grant, "description": "trace-grant"}, headers)
    service.post("use", use(10, **{**named, **texts}, idempotencyKey="trace-key"), headers)
    usage = Transaction.objects.get(type="usage")
    refund = {**named, **texts, "amount": 1, "transactionId": str(usage.pk)}
    service.post("refund", refund, headers)
    reserve = {**named, "amount": 5, "reason": "chat:trace-hold", "idempotencyKey": "trace-hold"}
    service.post("reserve", reserve, headers)
    committed = hold(user_id, 3)
    settle = {"reservationId": str(committed.pk), "description": "trace-commit"}
    service.post("commit", settle, headers)
    return user_id


def values_of_all_text_columns() -> Iterator[tuple[str, str]]:
    """Yield (column, value) of every text, character and JSON column of the schema credits."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = 'credits'
                 AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY')"""
        )
        columns = cursor.fetchall()
        assert len(columns) >= 20
        for table, column in columns:
            cursor.execute(f'SELECT "{column}"::text FROM credits."{table}"')
            yield from ((f"{table}.{column}", value or "") for (value,) in cursor.fetchall())


def traces(*texts: str) -> list[str]:
    return [
        f"{column}: {value}"
        for column, value in values_of_all_text_columns()
        if any(text in value for text in texts)
    ]


def test_erasure_leaves_no_trace_of_the_person(service: Caller, kate: str) -> None:
    assert len(traces(kate, "trace-")) > 20

    answer = service.delete(f"balance/{quote(kate, safe='')}")

    assert answer.status_code == 200
    # 4 transactions, 2 reservations, 2 usage statistics, 2 keys and the balance
    assert answer.json() == {"deletedCount": 11}
    assert traces(kate, "trace-") == []


def test_erasure_keeps_the_numbers(service: Caller, kate: str) -> None:
    def numbers() -> list[Any]:
        fields = ("number", "type", "amount", "balance_before", "balance_after", "spent_change")
        rows = Transaction.objects.order_by("number")
        return list(rows.values_list("id", *fields, "app_id", "actor", "created_at", "related"))

    before = numbers()
    totals = Balance.objects.values_list("posted", "total_earned", "total_spent").get()

    service.delete(f"balance/{quote(kate, safe='')}")

    assert numbers() == before
    assert Balance.objects.values_list("posted", "total_earned", "total_spent").get() == totals
    assert totals == (Decimal(88), Decimal(100), Decimal(12))
    assert sum(UsageStat.objects.values_list("credits_used", flat=True)) == 13


def test_erasure_releases_what_is_held(service: Caller, kate: str) -> None:
    open_before = Reservation.objects.get(status="open")

    service.delete(f"balance/{quote(kate, safe='')}")

    open_before.refresh_from_db()
    assert (open_before.status, open_before.reason) == ("released", "chat")
    assert Balance.objects.get().held == 0


def test_everything_moves_to_one_random_id(service: Caller, kate: str) -> None:
    service.delete(f"balance/{quote(kate, safe='')}")

    names = {
        name
        for model in (Balance, Transaction, Reservation, UsageStat)
        for name in model._default_manager.values_list("user_id", flat=True)
    }
    assert len(names) == 1
    assert names.pop().startswith("erased:")


def test_the_id_is_that_of_a_new_user(service: Caller, kate: str) -> None:
    service.delete(f"balance/{quote(kate, safe='')}")
    grant = {"userId": kate, "amount": 7, "reason": "x", "referenceId": "trace-reference"}

    assert service.get(f"balance/{quote(kate, safe='')}").json()["transactionsCount"] == 0
    granted = service.post("grant", grant).json()
    spent = service.post("use", use(2, userId=kate, idempotencyKey="trace-key")).json()

    assert (granted["alreadyGranted"], granted["newBalance"]) == (False, 7)
    assert spent["newBalance"] == {"balance": 5, "totalEarned": 7, "totalSpent": 2}
    assert "message" not in spent


def test_credits_of_an_erased_user_stay_where_they_are(service: Caller, kate: str) -> None:
    service.delete(f"balance/{kate}")
    erased = Balance.objects.get(pk__startswith="erased:").pk
    number = Transaction.objects.count()

    answers = [
        service.post("use", {"userId": erased, **use(1)}),
        service.post("grant", {"userId": erased, "amount": 1, "reason": "r", "referenceId": "r"}),
        service.get(f"balance/{erased}"),
        service.delete(f"balance/{erased}"),
    ]

    assert [answer.status_code for answer in answers] == [400] * 4
    assert {answer.json()["details"]["userId"][0] for answer in answers} == {
        "This id is reserved for an erased user."
    }
    assert Transaction.objects.count() == number


def test_nobody_else_is_touched(service: Caller, kate: str) -> None:
    for user_id in ("kate_50%@example.test2", "kate"):
        give(user_id, 10)
        hold(user_id, 2)
    others = Transaction.objects.filter(user_id__in=["kate_50%@example.test2", "kate"])
    before = list(others.order_by("pk").values())

    service.delete(f"balance/{quote(kate, safe='')}")

    assert list(others.order_by("pk").values()) == before
    assert Reservation.objects.filter(status="open").count() == 2


def test_to_erase_a_user_never_seen_is_nothing(service: Caller) -> None:
    answers = [service.delete("balance/nobody").json() for _ in range(2)]

    assert answers == [{"deletedCount": 0}, {"deletedCount": 0}]
    assert not Balance.objects.exists()


def test_a_second_erasure_finds_nothing(service: Caller, kate: str) -> None:
    path = f"balance/{quote(kate, safe='')}"

    answers = [service.delete(path).json()["deletedCount"] for _ in range(2)]

    assert answers == [11, 0]


def test_a_reservation_whose_time_is_over_does_not_stop_erasure() -> None:
    give("alice", 10)
    reservations.reserve(
        "alice",
        Decimal(4),
        reason="chat",
        origin=Origin("service", at=Transaction.objects.get().created_at - timedelta(days=3)),
    )

    erased = erasure.erase("alice")

    assert erased == 3
    assert Reservation.objects.get().status == "expired"
    assert Balance.objects.get().held == 0


@pytest.mark.usefixtures("committed")
def test_history_is_closed_again_after_an_erasure(service: Caller, kate: str) -> None:
    service.delete(f"balance/{quote(kate, safe='')}")

    with (
        pytest.raises(IntegrityError, match="transactions are append-only: UPDATE rejected"),
        as_owner(),
    ):
        Transaction.objects.update(description="changed")
