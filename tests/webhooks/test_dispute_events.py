"""Dispute events in every order, with any of them missing, and reconciliation."""

from itertools import combinations, permutations
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command

from credits.ledger import books, ledger
from credits.models import MoneyBack, Package, Purchase
from tests.stripe import Object, Stripe, deliver, no_waiting
from tests.webhooks.histories import History, Tape, start

pytestmark = pytest.mark.django_db

Output = pytest.CaptureFixture[str]


def lose_in_part(stripe: Stripe, name: str) -> None:
    """Refund 200 cents, then lose a dispute of 499 cents, of which 200 are reinstated."""
    intent = stripe.pay(name)["id"]
    stripe.refund(intent, amount=200)
    dispute = stripe.post(f"disputes/{name}")
    stripe.post(f"disputes/{dispute['id']}/lost", reinstated=200)


def win_with_less(stripe: Stripe, name: str) -> None:
    """Win a dispute of 499 cents, of which 199 are reinstated."""
    stripe.pay(name)
    dispute = stripe.post(f"disputes/{name}")
    stripe.post(f"disputes/{dispute['id']}/won", reinstated=199)


def win_and_lose_again(stripe: Stripe, name: str) -> None:
    """Win a dispute of 300 cents, which the bank then withdraws again."""
    stripe.pay(name)
    dispute = stripe.post(f"disputes/{name}", amount=300)
    stripe.post(f"disputes/{dispute['id']}/won")
    stripe.post(f"disputes/{dispute['id']}/lost")


# The acts, and the purchase's state if an event is the last one received.
TAKEN, PART_BACK = ("disputed", 0), ("disputed", 199.3988)
PART_TAKEN, BACK = ("disputed", 199.3988), ("completed", 500)
MOVED = {
    "won with less": (win_with_less, [TAKEN, PART_BACK]),
    "won, then lost": (win_and_lose_again, [PART_TAKEN, BACK, PART_TAKEN]),
}
LOST_IN_PART = History(lose_in_part, "disputed", (), unrecorded="charge.refunded")


@pytest.fixture
def tape(stripe: Stripe, starter: Package) -> Tape:
    return Tape(stripe, starter, LOST_IN_PART)


def play(events: list[Object]) -> None:
    for event in events:
        assert deliver(event).status_code == 200


def end(purchase: Purchase) -> tuple[str, float]:
    purchase.refresh_from_db()
    assert books.check([purchase.user_id]) == []
    return purchase.status, float(ledger.balance_of(purchase.user_id).posted)


def test_events_that_come_before_the_payment_or_twice_change_nothing(tape: Tape) -> None:
    purchase, (paid, *moved) = tape.copy()

    play([*reversed(moved), paid, *moved, *({**one, "id": f"{one['id']}_2"} for one in moved)])

    assert end(purchase) == ("disputed", 0)


@pytest.mark.slow
def test_every_part_of_the_events_leaves_nothing_in_every_order(tape: Tape) -> None:
    parts = [order for many in (1, 2, 3, 4) for order in permutations(range(4), many)]
    assert len(parts) == 64

    for order in parts:
        purchase, (paid, refund, _created, *of_dispute) = tape.copy()
        moved = [refund, *of_dispute]

        play([paid, *(moved[index] for index in order)])

        only_the_refund = order == (0,)
        assert end(purchase) == (("partially_refunded", 299.5992) if only_the_refund else
                                 ("disputed", 0)), order  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVED)
def test_parts_of_other_histories_end_by_the_newest_movement(
    stripe: Stripe, starter: Package, name: str
) -> None:
    act, ends = MOVED[name]
    tape = Tape(stripe, starter, History(act, "", (), unrecorded="charge.dispute.closed"))

    for many in range(1, len(ends) + 1):
        for order in permutations(range(len(ends)), many):
            purchase, (paid, _created, *moved) = tape.copy()

            play([paid, *(moved[index] for index in order)])

            assert end(purchase) == ends[max(order)], order


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVED)
def test_reconciliation_completes_other_histories_and_then_finds_nothing_more(
    stripe: Stripe, starter: Package, name: str, capsys: Output
) -> None:
    act, ends = MOVED[name]
    some = [part for many in range(len(ends) + 1) for part in combinations(range(len(ends)), many)]
    purchases = [start(starter, checkout=False) for _ in some]
    for part, purchase in zip(some, purchases, strict=True):
        since = len(stripe.events())
        act(stripe, str(purchase.pk))
        others = ("payment_intent.created", "charge.dispute.created", "charge.dispute.closed")
        told = [one for one in stripe.events()[since:] if one["type"] not in others]
        paid, *moved = told
        play([paid, *(moved[index] for index in part)])
    call_command("reconcile_stripe", "--since", "1d")
    first = capsys.readouterr().out

    call_command("reconcile_stripe", "--since", "1d")

    assert {end(purchase) for purchase in purchases} == {ends[-1]}
    assert "0 unexplained" in first
    assert "0 applied, 0 unexplained" in capsys.readouterr().out


def test_a_refund_whose_event_is_missing_is_asked_for(stripe: Stripe, starter: Package) -> None:
    purchase = start(starter, checkout=False)
    lose_in_part(stripe, str(purchase.pk))
    told = [one for one in stripe.events() if not one["type"].startswith(("refund.", "charge.ref"))]

    play(told)

    assert end(purchase) == ("disputed", 0)
    assert dict(MoneyBack.objects.values_list("kind", "reinstated_cents")) == {
        "refund": 0,
        "dispute": 200,
    }


def test_money_that_came_back_of_a_lost_dispute_without_a_refund_is_given_back(
    stripe: Stripe, starter: Package
) -> None:
    purchase = start(starter, checkout=False)
    stripe.pay(str(purchase.pk))
    dispute = stripe.post(f"disputes/{purchase.pk}")
    stripe.post(f"disputes/{dispute['id']}/lost", reinstated=200)

    play(stripe.events())

    assert end(purchase) == ("disputed", 200.4009)


def test_a_lost_dispute_gives_nothing_back_while_stripe_cannot_be_asked(
    stripe: Stripe, starter: Package, settings: Any
) -> None:
    purchase = start(starter, checkout=False)
    stripe.pay(str(purchase.pk))
    dispute = stripe.post(f"disputes/{purchase.pk}")
    stripe.post(f"disputes/{dispute['id']}/lost", reinstated=200)
    told, there = stripe.events(), settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        play(told)
    away = end(purchase)
    settings.STRIPE_API_BASE = there

    call_command("reconcile_stripe", "--since", "1d")

    assert (away, end(purchase)) == (("disputed", 0), ("disputed", 200.4009))


@pytest.mark.slow
def test_reconciliation_finds_whatever_is_missing(
    stripe: Stripe, starter: Package, capsys: Output
) -> None:
    purchases = [start(starter, checkout=False) for _ in range(16)]
    for number, purchase in enumerate(purchases):
        since = len(stripe.events())
        lose_in_part(stripe, str(purchase.pk))
        paid, refund, _, _, withdrawn, reinstated, closed = stripe.events()[since:]
        known = [refund, withdrawn, reinstated, closed]
        play([paid, *(one for bit, one in enumerate(known) if number & 1 << bit)])

    call_command("reconcile_stripe", "--since", "1d")

    assert {end(purchase) for purchase in purchases} == {("disputed", 0)}
    assert "0 unexplained" in capsys.readouterr().out


def test_reconciliation_asks_for_older_refunds_of_a_dispute_of_which_a_part_came_back(
    stripe: Stripe, starter: Package
) -> None:
    purchase = start(starter, checkout=False)
    lose_in_part(stripe, str(purchase.pk))

    with patch("credits.payments.stripe_api.refunds", return_value=iter([])):
        call_command("reconcile_stripe", "--since", "1d")

    assert end(purchase) == ("disputed", 0)
    assert MoneyBack.objects.filter(kind="refund").count() == 1


def test_reconciliation_sees_that_a_won_dispute_was_withdrawn_again(
    stripe: Stripe, starter: Package
) -> None:
    purchase = start(starter, checkout=False)
    stripe.pay(str(purchase.pk))
    dispute = stripe.post(f"disputes/{purchase.pk}")
    stripe.post(f"disputes/{dispute['id']}/won")
    call_command("reconcile_stripe", "--since", "1d")
    won = end(purchase)
    movements = [
        {"id": f"txn_{number}", "amount": amount, "currency": "eur"}
        for number, amount in enumerate((-499, 499, -499))
    ]
    again = {**dispute, "status": "lost", "balance_transactions": movements}

    with (
        patch("credits.payments.stripe_api.disputes", return_value=iter([])),
        patch("credits.payments.stripe_api.dispute", return_value=again),
    ):
        call_command("reconcile_stripe", "--since", "1d")

    assert (won, end(purchase)) == (("completed", 500), ("disputed", 0))


def test_a_dispute_won_without_its_money_is_unexplained_after_5_days(
    stripe: Stripe, starter: Package, capsys: Output
) -> None:
    purchase = start(starter, checkout=False)
    stripe.pay(str(purchase.pk))
    dispute = stripe.post(f"disputes/{purchase.pk}")
    stripe.post(f"disputes/{dispute['id']}/won", reinstated=199)
    call_command("reconcile_stripe", "--since", "1d")
    found = MoneyBack.objects.get()
    assert found.stripe_status_since
    early = capsys.readouterr().out
    MoneyBack.objects.update(stripe_status_since=found.stripe_status_since.replace(year=2025))

    with pytest.raises(SystemExit):
        call_command("reconcile_stripe", "--since", "1d")

    assert "0 unexplained" in early
    late = capsys.readouterr().out
    assert f"dispute {dispute['id']}: was won, but 300 cents have not come back" in late
