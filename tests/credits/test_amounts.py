"""Valid and invalid amounts of credits, the same for every caller."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from credits import amounts
from credits.amounts import InvalidAmount
from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo
from credits.models import Balance, UsageStat
from tests.api import Caller
from tests.factories import SYSTEM, give, spend

pytestmark = pytest.mark.django_db

MEMO = Memo()
WRONG = [
    "0",
    "-0",
    "0.00001",
    "1.00001",
    "100000000000",
    "1e15",
    "NaN",
    "sNaN",
    "Infinity",
    "1e-99",
]
VERBS: list[Callable[[Any], object]] = [
    lambda amount: ledger.spend("alice", amount, memo=MEMO, origin=SYSTEM),
    lambda amount: ledger.refund("alice", amount, memo=MEMO, origin=SYSTEM),
    lambda amount: ledger.grant("alice", amount, memo=MEMO, origin=SYSTEM, cause="c"),
    lambda amount: ledger.adjust("alice", amount, memo=MEMO, origin=SYSTEM),
    lambda amount: ledger.claw_back("alice", amount, memo=MEMO, origin=SYSTEM, cause="c"),
    lambda amount: reservations.reserve("alice", amount, reason="chat", origin=SYSTEM),
]
NAMES = ["spend", "refund", "grant", "adjust", "claw_back", "reserve"]


@pytest.mark.parametrize("amount", WRONG)
@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_an_invalid_amount_moves_nothing(verb: Callable[[Any], object], amount: str) -> None:
    give("alice", 10)

    with pytest.raises(InvalidAmount):
        verb(Decimal(amount))

    balance = Balance.objects.get()
    assert (balance.posted, balance.held, balance.version) == (10, 0, 1)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "adjust"])
def test_only_an_adjustment_may_be_negative(name: str) -> None:
    give("alice", 10)

    with pytest.raises(InvalidAmount):
        VERBS[NAMES.index(name)](Decimal(-1))

    assert Balance.objects.get().posted == 10


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("5", "5"),
        ("5.0000", "5"),
        ("0.10", "0.1"),
        ("1E+3", "1000"),
        ("99999999999.9999", "99999999999.9999"),
    ],
)
def test_an_amount_is_written_in_one_way(amount: str, written: str) -> None:
    assert amounts.plain(amounts.positive(Decimal(amount))) == written


@pytest.mark.parametrize(
    ("computed", "meant"),
    [
        (3 * 0.2, "0.6"),
        (0.1 + 0.2, "0.3"),
        (3 * 0.0001, "0.0003"),
        (1.1 * 1.1, "1.21"),
        (0.7 + 0.1, "0.8"),
        (sum([0.1] * 10), "1"),
        (4.35 * 100, "435"),
        (12345678901.1 + 0.2, "12345678901.3"),
    ],
)
def test_the_noise_of_doubles_is_removed(computed: float, meant: str) -> None:
    assert amounts.without_noise(Decimal(repr(computed))) == Decimal(meant)


@pytest.mark.parametrize(
    "written",
    [
        "0.12345",
        "0.60001",
        "0.600000000001",
        "1e-17",
        "99999999999.12345",
        "99999999999.99995",
        "9007199254740993.1",
        "1e300",
        "-1e-300",
        "0." + "3" * 1000,
    ],
)
def test_what_is_not_noise_stays_as_it_is(written: str) -> None:
    assert amounts.without_noise(Decimal(written)) == Decimal(written)
    with pytest.raises(InvalidAmount):
        amounts.positive(amounts.without_noise(Decimal(written)))


def test_a_client_that_computes_with_doubles_is_charged_what_it_means(alice: Caller) -> None:
    give("alice", 1)
    body = {"appId": "chat", "description": "Three", "idempotencyKey": "k"}

    first = alice.post("use", {**body, "amount": 0.6000000000000001})
    again = alice.post("use", {**body, "amount": 0.6})
    more = alice.post("use", {**body, "amount": 0.12345, "idempotencyKey": "k2"})
    text = alice.post("use", {**body, "amount": "0.6000000000000001", "idempotencyKey": "k3"})

    assert first.json()["transaction"]["amount"] == -0.6
    assert again.json()["message"] == "Transaction already processed"
    assert (more.status_code, text.status_code) == (400, 400)
    assert Balance.objects.get().posted == Decimal("0.4")


def test_the_largest_amount_can_be_used_twice_on_a_day() -> None:
    largest = "99999999999.9999"
    give("alice", largest)
    used = spend("alice", largest).transaction
    ledger.refund("alice", Decimal(largest), memo=Memo(), origin=SYSTEM, usage_id=used.pk)

    spend("alice", largest)

    assert UsageStat.objects.get().credits_used == 2 * Decimal(largest)
    assert Balance.objects.get().posted == 0


@pytest.mark.parametrize(
    ("amount", "english", "german"),
    [
        ("1.0000", "1 credit", "1 Credit"),
        ("0", "0 credits", "0 Credits"),
        ("0.5", "0.5 credits", "0.5 Credits"),
        ("-1", "-1 credits", "-1 Credits"),
        ("1000", "1000 credits", "1000 Credits"),
    ],
)
def test_only_one_credit_is_singular(amount: str, english: str, german: str) -> None:
    assert amounts.with_unit(Decimal(amount)) == english
    assert amounts.with_unit(Decimal(amount), language="de") == german


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (0, "0 discrepancies"),
        (1, "1 discrepancy"),
        (Decimal("1.0000"), "1 discrepancy"),
        (Decimal("1.5"), "1.5 discrepancies"),
        (12_345, "12,345 discrepancies"),
        (10_000_000, "10,000,000 discrepancies"),
    ],
)
def test_a_number_brings_its_noun(count: Decimal | int, sentence: str) -> None:
    assert amounts.counted(count, "discrepancy", "discrepancies") == sentence


@pytest.mark.parametrize(
    ("cents", "written"),
    [
        (0, "€0.00"),
        (5, "€0.05"),
        (499, "€4.99"),
        (123_456_78, "€123,456.78"),
        (-499, f"{amounts.MINUS}€4.99"),
    ],
)
def test_euros_are_written_as_on_the_pages_of_users(cents: int, written: str) -> None:
    assert amounts.euros(cents) == written
