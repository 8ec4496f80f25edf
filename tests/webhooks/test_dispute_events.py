"""Disputes by their signed events: every order, any part of them missing, and reconciliation."""

from itertools import combinations, permutations
from unittest.mock import patch

import pytest
from django.core.management import call_command

from credits.ledger import books, ledger
from credits.models import Package, Purchase, Return
from tests.stripe import Object, Stripe, deliver
from tests.webhooks.histories import History, Tape, start

pytestmark = pytest.mark.django_db

Output = pytest.CaptureFixture[str]


def lose_in_part(stripe: Stripe, name: str) -> None:
    """Refund 200 cents, then lose a dispute of 499, of which 200 come back."""
    intent = stripe.pay(name)["id"]
    stripe.refund(intent, amount=200)
    dispute = stripe.post(f"disputes/{name}")
    stripe.post(f"disputes/{dispute['id']}/lost", reinstated=200)


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


@pytest.mark.slow
def test_a_dispute_lost_in_part_leaves_nothing_in_every_order(tape: Tape) -> None:
    for order in permutations(range(4)):
        purchase, events = tape.copy()
        paid, refund, _created, withdrawn, reinstated, closed = events
        moved = [refund, withdrawn, reinstated, closed]

        play([paid, *(moved[index] for index in order)])

        assert end(purchase) == ("disputed", 0), order


def test_events_that_come_before_the_payment_or_twice_change_nothing(tape: Tape) -> None:
    purchase, (paid, *moved) = tape.copy()

    play([*reversed(moved), paid, *moved, *({**one, "id": f"{one['id']}_2"} for one in moved)])

    assert end(purchase) == ("disputed", 0)


def test_any_event_of_the_dispute_is_enough(tape: Tape) -> None:
    for many in (1, 2):
        for some in combinations(range(3), many):
            purchase, (paid, refund, _created, *moved) = tape.copy()

            play([paid, *(moved[index] for index in some), refund])

            assert end(purchase) == ("disputed", 0), some


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
    assert Return.objects.filter(kind="refund").count() == 1


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
    found = Return.objects.get()
    assert found.stripe_status_since
    early = capsys.readouterr().out
    Return.objects.update(stripe_status_since=found.stripe_status_since.replace(year=2025))

    with pytest.raises(SystemExit):
        call_command("reconcile_stripe", "--since", "1d")

    assert "0 unexplained" in early
    late = capsys.readouterr().out
    assert f"dispute {dispute['id']}: was won, but 300 cents have not come back" in late
