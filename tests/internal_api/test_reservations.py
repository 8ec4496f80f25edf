"""Services reserve credits, then commit all or part of them, or release them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from credits.ledger import reservation_expiry, reservations
from credits.ledger.posting import Origin
from credits.models import Balance, Reservation, Transaction
from tests.api import Answer, Caller
from tests.factories import give, hold, spend

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def reserve(amount: float = 4, **fields: Any) -> dict[str, Any]:
    return {"userId": "alice", "amount": amount, "reason": "research:openai", **fields}


def settle(reservation: Reservation, **fields: Any) -> dict[str, Any]:
    return {"reservationId": str(reservation.pk), **fields}


def refused(answer: Answer) -> tuple[int, str, str]:
    body = answer.json()
    assert body.keys() - {"details"} == {"statusCode", "message", "code"}
    assert ("details" in body) == (answer.status_code == 400)
    return answer.status_code, body["code"], body["message"]


def totals() -> tuple[Decimal, Decimal, Decimal]:
    balance = Balance.objects.get(pk="alice")
    return balance.posted, balance.held, balance.total_spent


def hold_at(at: datetime, ttl: timedelta, amount: int = 4) -> Reservation:
    origin = Origin("service", at=at)
    return reservations.reserve(
        "alice", Decimal(amount), reason="research", origin=origin, ttl=ttl
    ).reservation


def test_a_reservation_holds_credits(service: Caller) -> None:
    give("alice", 200)

    answer = service.post("reserve", reserve(4), {"X-App-Id": "mana-research"})

    row = Reservation.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "reservationId": str(row.pk),
        "balance": 196,
        "expiresAt": row.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    assert (row.status, row.amount, row.app_id, row.reason) == (
        "open",
        4,
        "research",
        "research:openai",
    )
    assert (row.actor, row.request_id) == ("service:mana-research", answer["X-Request-Id"])
    assert row.expires_at - row.created_at == timedelta(hours=24)
    assert totals() == (200, 4, 0)
    assert Transaction.objects.count() == 1


def test_held_credits_cannot_be_held_or_spent_again(service: Caller) -> None:
    give("alice", 10)
    service.post("reserve", reserve(8))

    answer = service.post("reserve", reserve(3))

    assert answer.status_code == 402
    assert answer.json()["details"] == {"required": 3, "available": 2}
    assert totals() == (10, 8, 0)


def test_a_user_never_seen_has_nothing_to_reserve(service: Caller) -> None:
    answer = service.post("reserve", reserve(3))

    assert answer.status_code == 402
    assert answer.json()["details"] == {"required": 3, "available": 0}
    assert not Balance.objects.exists()


@pytest.mark.parametrize("seconds", [1, 900, 604_800])
def test_a_reservation_lives_as_long_as_it_is_asked_to(service: Caller, seconds: int) -> None:
    give("alice", 10)

    service.post("reserve", reserve(ttlSeconds=seconds))

    row = Reservation.objects.get()
    assert row.expires_at - row.created_at == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("ttlSeconds", value) for value in (0, -1, 604_801, 1.5, "900", True, 10**30)),
        *(("reason", value) for value in ("", ":openai", f"{'x' * 101}:y", "x" * 201, None, 5)),
        *(("amount", value) for value in (0, -1, 0.00001, "4", None)),
        ("userId", "u" * 256),
    ],
)
def test_an_invalid_reservation_is_refused_by_name(service: Caller, field: str, value: Any) -> None:
    give("alice", 10)

    answer = service.post("reserve", reserve(**{field: value}))

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [field]
    assert not Reservation.objects.exists()


def test_the_same_key_reserves_once(service: Caller) -> None:
    give("alice", 10)
    body = reserve(4, idempotencyKey="r1")

    first = service.post("reserve", body).json()
    again = service.post("reserve", {**body, "reason": "research:other"}).json()

    assert again == first
    assert totals() == (10, 4, 0)


def test_the_key_of_a_committed_reservation_answers_as_before(service: Caller) -> None:
    """A job that starts over reserves and commits again, and pays once."""
    give("alice", 10)
    body = reserve(4, idempotencyKey="r1")
    first = service.post("reserve", body).json()
    committed = service.post("commit", {"reservationId": first["reservationId"]}).json()

    again = service.post("reserve", body).json()
    settled = service.post("commit", {"reservationId": again["reservationId"]}).json()

    assert again == {**first, "balance": 6}
    assert settled == committed
    assert totals() == (6, 0, 4)


def test_the_key_of_a_released_reservation_is_refused(service: Caller) -> None:
    give("alice", 10)
    body = reserve(4, idempotencyKey="r1")
    first = service.post("reserve", body).json()
    service.post("refund-reservation", {"reservationId": first["reservationId"]})

    answer = service.post("reserve", body)

    assert refused(answer)[:2] == (409, "reservation_released")
    assert totals() == (10, 0, 0)
    assert Reservation.objects.count() == 1


@pytest.mark.parametrize("worker_came", [True, False])
def test_the_key_of_an_expired_reservation_is_refused(service: Caller, worker_came: bool) -> None:
    give("alice", 10)
    origin = Origin("service", key="r1", at=NOW)
    held = reservations.reserve(
        "alice", Decimal(4), reason="research:openai", origin=origin, ttl=timedelta(minutes=15)
    ).reservation
    if worker_came:
        list(reservation_expiry.expire_due(now=NOW + timedelta(hours=1), limit=1))

    answer = service.post("reserve", reserve(4, idempotencyKey="r1"))

    assert refused(answer)[:2] == (409, "reservation_expired")
    held.refresh_from_db()
    assert held.status == ("expired" if worker_came else "open")
    assert Reservation.objects.count() == 1


def test_a_key_names_one_reservation_only(service: Caller) -> None:
    give("alice", 10)
    service.post("reserve", reserve(4, idempotencyKey="r1"))

    others = [reserve(5), reserve(4, reason="chat")]
    answers = [service.post("reserve", {**body, "idempotencyKey": "r1"}) for body in others]

    assert {refused(answer)[:2] for answer in answers} == {(409, "idempotency_key_reused")}
    assert totals() == (10, 4, 0)


def test_a_commit_spends_what_was_reserved(service: Caller) -> None:
    give("alice", 200)
    held = hold("alice", 8)

    answer = service.post("commit", settle(held, description="a report"), {"X-App-Id": "research"})

    entry = Transaction.objects.get(type="usage")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "transactionId": str(entry.pk),
        "amount": 8,
        "balance": 192,
    }
    assert (entry.amount, entry.app_id, entry.description) == (-8, "research", "a report")
    assert (entry.actor, entry.cause) == ("service:research", f"reservation:{held.pk}")
    held.refresh_from_db()
    assert (held.status, held.committed_amount, held.transaction) == ("committed", 8, entry)
    assert totals() == (192, 0, 8)


def test_a_commit_of_a_part_releases_the_rest(service: Caller) -> None:
    give("alice", 200)
    held = hold("alice", 8)

    answer = service.post("commit", settle(held, amount=2.5)).json()

    assert (answer["amount"], answer["balance"]) == (2.5, 197.5)
    assert totals() == (Decimal("197.5"), 0, Decimal("2.5"))
    assert Transaction.objects.get(type="usage").description == "research:openai"


def test_more_than_was_reserved_is_not_committed(service: Caller) -> None:
    give("alice", 200)
    held = hold("alice", 8)

    answer = service.post("commit", settle(held, amount=8.0001))

    assert refused(answer) == (400, "exceeds_reservation", "The amount exceeds the reservation")
    assert totals() == (200, 8, 0)


def test_a_release_lets_go(service: Caller) -> None:
    give("alice", 196)
    held = hold("alice", 8)

    answer = service.post("refund-reservation", settle(held))

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "balance": 196}
    held.refresh_from_db()
    assert (held.status, held.transaction_id) == ("released", None)
    assert totals() == (196, 0, 0)


@pytest.mark.parametrize("path", ["commit", "refund-reservation"])
def test_settling_again_answers_as_the_first_time(service: Caller, path: str) -> None:
    give("alice", 200)
    body = settle(hold("alice", 8), idempotencyKey="s1")
    first = service.post(path, body)
    after = totals()

    answers = [service.post(path, body), service.post(path, {**body, "idempotencyKey": "s2"})]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, first.json())] * 2
    assert totals() == after


def test_a_part_committed_again_answers_as_the_first_time(service: Caller) -> None:
    give("alice", 200)
    held = hold("alice", 8)
    first = service.post("commit", settle(held, amount=3)).json()

    again = service.post("commit", settle(held, amount=3)).json()
    whole = service.post("commit", settle(held))

    assert again == first
    assert refused(whole) == (409, "reservation_committed", "This reservation was committed")
    assert totals() == (197, 0, 3)


def test_a_reservation_is_settled_in_one_way_only(service: Caller) -> None:
    give("alice", 200)
    committed, released = hold("alice", 8), hold("alice", 5)
    service.post("commit", settle(committed))
    service.post("refund-reservation", settle(released))

    late_release = service.post("refund-reservation", settle(committed))
    late_commit = service.post("commit", settle(released))

    assert refused(late_release)[:2] == (409, "reservation_committed")
    assert refused(late_commit) == (409, "reservation_released", "This reservation was released")
    assert totals() == (192, 0, 8)


@pytest.mark.parametrize("path", ["commit", "refund-reservation"])
def test_an_unknown_reservation_is_not_found(service: Caller, path: str) -> None:
    answer = service.post(path, {"reservationId": str(uuid4())})

    assert refused(answer) == (404, "reservation_not_found", "Reservation not found")


@pytest.mark.parametrize("path", ["commit", "refund-reservation"])
@pytest.mark.parametrize("value", ["", "x", 5, None, [], "\0"])
def test_an_ill_formed_id_is_refused(service: Caller, path: str, value: object) -> None:
    answer = service.post(path, {"reservationId": value})

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["reservationId"]


@pytest.mark.parametrize("step", [reservations.commit, reservations.release])
def test_a_reservation_holds_until_its_last_moment(step: Any) -> None:
    give("alice", 10)
    held = hold_at(NOW, timedelta(minutes=15))

    moment = NOW + timedelta(minutes=15) - timedelta(milliseconds=1)
    settled = step(held.pk, origin=Origin("service", at=moment)).reservation

    assert (settled.status, settled.settled_at) in [("committed", moment), ("released", moment)]


@pytest.mark.parametrize("step", [reservations.commit, reservations.release])
def test_settling_an_expired_reservation_expires_it(service: Caller, step: Any) -> None:
    give("alice", 10)
    held = hold_at(NOW, timedelta(minutes=15))
    late = Origin("service", at=NOW + timedelta(minutes=15), key="s1")

    for _ in range(2):
        with pytest.raises(reservations.ReservationExpired):
            step(held.pk, origin=late)

    assert Reservation.objects.get().status == "expired"
    assert totals() == (10, 0, 0)
    answers = [service.post(path, settle(held)) for path in ("commit", "refund-reservation")]
    expected = (409, "reservation_expired", "This reservation has expired")
    assert [refused(answer) for answer in answers] == [expected] * 2


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(days=7, seconds=1)])
def test_no_reservation_lives_shorter_or_longer(ttl: timedelta) -> None:
    give("alice", 10)

    with pytest.raises(reservations.InvalidTtl):
        hold_at(NOW, ttl)

    assert totals() == (10, 0, 0)


def test_expiry_frees_what_is_due_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    give("alice", 100)
    due = hold_at(NOW - timedelta(days=2), timedelta(days=1))
    settled = hold_at(NOW - timedelta(days=2), timedelta(days=1), 7)
    reservations.release(settled.pk, origin=Origin("service", at=NOW - timedelta(days=2)))
    still_good = hold("alice", 3)

    call_command("expire_reservations")

    assert capsys.readouterr().out == "expire_reservations: 1 expired.\n"
    due.refresh_from_db()
    still_good.refresh_from_db()
    assert (due.status, still_good.status) == ("expired", "open")
    assert totals() == (100, 3, 0)
    assert spend("alice", 97).balance.available == 0


def test_expiry_stops_at_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    give("alice", 100)
    for _ in range(3):
        hold_at(NOW - timedelta(days=2), timedelta(days=1))

    call_command("expire_reservations", "--limit=2")
    call_command("expire_reservations")
    call_command("expire_reservations")

    counts = [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()]
    assert counts == ["2 expired.", "1 expired.", "nothing was due."]
    assert totals() == (100, 0, 0)
