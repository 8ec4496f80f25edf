"""Claw-backs follow the withdrawn cents of disputes, not the names of the reports."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import accumulate, permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits.ledger import books, ledger
from credits.ledger.ledger import NotReversible
from credits.ledger.posting import Memo, Origin
from credits.models import MoneyBack, Purchase, Transaction
from credits.payments import money_back, stripe_facts
from credits.payments.stripe_facts import MoneyBackReport
from credits.payments.stripe_fields import UnreadableObject
from tests.credits.test_money_back import NOW, balance, paid, went_back
from tests.quick import at_most

pytestmark = pytest.mark.django_db

ANY_ORDER = settings(
    max_examples=at_most(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def dispute(
    purchase: Purchase,
    moved: Sequence[int],
    *,
    status: str = "needs_response",
    after: int = 0,
    stripe_id: str = "dp_1",
    **fields: Any,
) -> MoneyBackReport:
    """Return a dispute of 499 cents with these movements."""
    listed = [
        {"id": f"txn_{index}", "amount": cents, "currency": "eur"}
        for index, cents in enumerate(moved)
    ]
    found = {
        "id": stripe_id,
        "amount": 499,
        "currency": "eur",
        "payment_intent": purchase.stripe_payment_intent_id,
        "status": status,
        "balance_transactions": listed,
        **fields,
    }
    return stripe_facts.of_dispute(found, at=NOW + timedelta(seconds=after))


def share(amount: Decimal, cents: int, price: int) -> Decimal:
    exact = amount * min(cents, price) / price
    return exact.quantize(Decimal("0.0001"), ROUND_DOWN)


def lost_in_part(purchase: Purchase) -> list[MoneyBackReport]:
    return [
        went_back(purchase, 200, stripe_id=f"re_of_{purchase.pk}"),
        *(
            dispute(purchase, moved, status=status, stripe_id=f"dp_of_{purchase.pk}")
            for moved, status in (
                ([-499], "needs_response"),
                ([-499, 200], "lost"),
                ([-499, 200], "lost"),
            )
        ),
    ]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_dispute_lost_in_part_after_a_refund_leaves_nothing_in_every_order(
    order: tuple[int, ...],
) -> None:
    purchase = paid()
    facts = lost_in_part(purchase)

    for index in order:
        money_back.record(facts[index], now=NOW)

    purchase.refresh_from_db()
    assert (purchase.status, balance(purchase)) == ("disputed", 0)


@ANY_ORDER
@given(
    amount=st.decimals("0.0001", "1000", places=4),
    price=st.integers(1, 999),
    data=st.data(),
)
@pytest.mark.slow
def test_every_report_leaves_exactly_the_share_of_the_cents_that_stand(
    amount: Decimal, price: int, data: st.DataObject
) -> None:
    purchase = paid(amount, price)
    cents = st.integers(1, price)
    refunds = data.draw(st.lists(cents, max_size=2))
    histories = data.draw(
        st.lists(st.lists(st.integers(-price, price).filter(bool), max_size=4), max_size=3)
    )
    reports = [
        (("refund", index), went_back(purchase, part, stripe_id=f"re_{purchase.pk}_{index}"))
        for index, part in enumerate(refunds)
    ]
    for number, history in enumerate(histories):
        for moved in accumulate(([one] for one in history), initial=[]):
            status = data.draw(st.sampled_from(["needs_response", "won", "lost"]))
            name = f"dp_{purchase.pk}_{number}"
            fact = dispute(purchase, moved, status=status, stripe_id=name, amount=price)
            if moved:
                reports.append((("dispute", number), fact))
    known: dict[Any, tuple[int, int]] = {}

    for subject, fact in data.draw(st.lists(st.sampled_from(reports), max_size=8) if reports
                                else st.just([])):  # fmt: skip
        money_back.record(fact, now=NOW)

        before = known.get(subject, (0, 0))
        now = fact.movements or (fact.amount_cents, 0)
        known[subject] = (max(before[0], now[0]), max(before[1], now[1]))
        standing = sum(max(0, out - back) for out, back in known.values())
        assert balance(purchase) == amount - share(amount, standing, price)
    assert books.check([purchase.user_id]) == []


@pytest.mark.parametrize(
    ("moved", "left"),
    [
        ([-499], 0),
        ([-499, 499], 500),
        ([-499, 200], Decimal("200.4009")),
        ([-499, 499, -499], 0),
        ([-499, 499, -100], Decimal("399.7996")),
        ([-499, 499, -499, 499], 500),
        ([-499, 600], 500),
    ],
)
@pytest.mark.parametrize("status", ["won", "lost", "under_review"])
def test_only_the_cents_count_whatever_the_status_is(
    moved: list[int], left: Decimal, status: str
) -> None:
    purchase = paid()

    money_back.record(dispute(purchase, moved, status=status), now=NOW)

    assert balance(purchase) == left


@pytest.mark.parametrize("swapped", [False, True])
def test_what_was_won_and_is_withdrawn_again_is_taken_again(swapped: bool) -> None:
    purchase = paid()
    won = dispute(purchase, [-499, 499], status="won", after=1)
    again = dispute(purchase, [-499, 499, -499], status="lost", after=2)

    for fact in (again, won) if swapped else (won, again, won):
        money_back.record(fact, now=NOW)

    purchase.refresh_from_db()
    found = MoneyBack.objects.get()
    assert (purchase.status, balance(purchase), found.stripe_status) == ("disputed", 0, "lost")
    assert (found.state, found.given_back, found.taken) == ("gone", False, 500)


def test_what_comes_back_in_part_is_given_back_whole_and_taken_again_in_part() -> None:
    purchase = paid()
    money_back.record(dispute(purchase, [-499]), now=NOW)

    money_back.record(dispute(purchase, [-499, 200], status="lost"), now=NOW)

    moved = Transaction.objects.filter(user_id=purchase.user_id).order_by("number")
    assert [(entry.type, entry.cause, entry.amount) for entry in moved][1:] == [
        ("clawback", "dispute:dp_1", Decimal(-500)),
        ("reinstatement", f"reinstatement:{moved[1].pk}", Decimal(500)),
        ("clawback", "dispute:dp_1:2", Decimal("-299.5991")),
    ]


def test_two_disputes_and_a_refund_never_take_more_than_the_purchase() -> None:
    purchase = paid()
    money_back.record(dispute(purchase, [-300], stripe_id="dp_1"), now=NOW)
    money_back.record(dispute(purchase, [-300], stripe_id="dp_2"), now=NOW)
    money_back.record(went_back(purchase, 400), now=NOW)
    all_of_it = balance(purchase)

    money_back.record(dispute(purchase, [-300, 300], stripe_id="dp_1", status="won"), now=NOW)

    assert (all_of_it, balance(purchase)) == (0, 0)


@pytest.mark.parametrize(
    ("status", "at_least", "left"),
    [
        ("lost", "returned", 0),
        ("under_review", "returned", 0),
        ("won", "returned", 500),
        ("lost", "open", 0),
        ("needs_response", "gone", 0),
        ("won", "open", 500),
    ],
)
def test_without_movements_only_a_won_dispute_is_a_return(
    status: str, at_least: str, left: int
) -> None:
    purchase = paid()
    found = {
        "id": "dp_1",
        "amount": 499,
        "status": status,
        "payment_intent": purchase.stripe_payment_intent_id,
    }

    money_back.record(stripe_facts.of_dispute(found, at_least=at_least, at=NOW), now=NOW)

    assert balance(purchase) == left


@pytest.mark.parametrize("swapped", [False, True])
def test_listed_movements_replace_what_was_assumed_without_them(swapped: bool) -> None:
    purchase = paid()
    assumed = dispute(purchase, [], status="won")._replace(state="returned")
    listed = dispute(purchase, [-499, 200], status="won")

    for fact in (listed, assumed) if swapped else (assumed, listed):
        money_back.record(fact, now=NOW)

    assert balance(purchase) == Decimal("200.4009")


def test_a_status_that_was_reported_late_does_not_replace_a_newer_one() -> None:
    purchase = paid()
    money_back.record(dispute(purchase, [-499], status="won", after=10), now=NOW)

    money_back.record(dispute(purchase, [-499], status="needs_response", after=5), now=NOW)
    money_back.record(dispute(purchase, [-499], status="won", after=20), now=NOW)

    found = MoneyBack.objects.get()
    since = NOW + timedelta(seconds=10)
    assert (found.stripe_status, found.stripe_status_since) == ("won", since)


def test_a_dispute_that_is_won_without_its_money_is_found_after_5_days() -> None:
    purchase = paid()
    money_back.record(dispute(purchase, [-499], status="won"), now=NOW)
    other = paid()
    money_back.record(dispute(other, [-499, 499], status="won", stripe_id="dp_2"), now=NOW)

    def found(days: int) -> list[str | None]:
        late = money_back.won_without_money(now=NOW + timedelta(days=days, seconds=1))
        return [one.stripe_id for one in late]

    assert (found(4), found(5)) == ([], ["dp_1"])
    assert (balance(purchase), balance(other)) == (0, 500)


def test_movements_in_another_currency_count_by_their_rate() -> None:
    purchase = paid()
    fact = dispute(purchase, [])
    listed = [
        {"id": "txn_1", "amount": -549, "currency": "usd", "exchange_rate": 1.1},
        {"id": "txn_2", "amount": 220, "currency": "usd", "exchange_rate": 1.1},
        {"id": "txn_2", "amount": 220, "currency": "usd", "exchange_rate": 1.1},
    ]

    found = dispute(purchase, [], balance_transactions=listed)

    assert fact.movements is None
    assert found.movements == (499, 200)


def test_rounding_of_another_currency_leaves_no_cent_of_a_won_dispute() -> None:
    """499 cents are 418 and, when they come back, 416 pence. 416 pence are 498 cents."""
    purchase = paid()
    listed = [
        {"id": "txn_1", "amount": -418, "currency": "gbp", "exchange_rate": 0.8371},
        {"id": "txn_2", "amount": 416, "currency": "gbp", "exchange_rate": 0.8346},
    ]

    fact = dispute(purchase, [], balance_transactions=listed, status="won")
    money_back.record(fact, now=NOW)

    assert fact.movements == (499, 499)
    assert balance(purchase) == 500
    purchase.refresh_from_db()
    assert purchase.status == "completed"


@pytest.mark.parametrize(
    "listed",
    [
        "txn_1",
        ["txn_1"],
        [{"amount": "5"}],
        [{"amount": 10**14}],
        [{"amount": -5, "currency": "usd", "exchange_rate": "x"}],
        [{"amount": -5, "currency": "usd", "exchange_rate": -1}],
    ],
)
def test_movements_that_cannot_be_read_are_refused(listed: Any) -> None:
    with pytest.raises(UnreadableObject, match="balance_transactions"):
        dispute(paid(), [], balance_transactions=listed)


def test_what_follows_the_money_is_not_reversed_and_the_next_report_is_applied() -> None:
    purchase = paid()
    money_back.record(dispute(purchase, [-499, 200]), now=NOW)
    money_back.record(dispute(purchase, [-499, 499], stripe_id="dp_2", status="won"), now=NOW)

    for entry in Transaction.objects.filter(user_id=purchase.user_id):
        with pytest.raises(NotReversible):
            ledger.reverse(entry.pk, memo=Memo(), origin=Origin("operator:olga"))
    money_back.record(dispute(purchase, [-499, 499], status="won"), now=NOW)

    kinds = Transaction.objects.values_list("type", flat=True).distinct()
    assert set(kinds) == {"purchase", "clawback", "reinstatement"}
    assert balance(purchase) == 500
