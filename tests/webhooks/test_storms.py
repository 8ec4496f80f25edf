"""Any order, duplication, delay or loss of events leads to the same final state."""

import random
from itertools import chain, permutations

import pytest
from django.core.management import call_command

from tests.api import at_once, statuses
from tests.factories import package
from tests.stripe import Stripe, deliver
from tests.webhooks.histories import HISTORIES, PARTS, WON, History, Tape, end_of, start

OFFER = {"credits": 1000, "price_euro_cents": 500}


@pytest.mark.django_db
@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.slow
def test_every_order_of_its_events_ends_the_same(stripe: Stripe, name: str) -> None:
    tape = Tape(stripe, package(**OFFER), HISTORIES[name])
    ends = []

    for order in permutations(range(tape.length)):
        purchase, events = tape.copy()
        answers = [deliver(events[index]).status_code for index in order]
        ends.append((order, answers, end_of(purchase)))

    right = [200] * tape.length
    wrong = [end for end in ends if end[1:] != (right, tape.history.end)]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("history", [PARTS, WON], ids=["debit, parts, a failure", "won"])
@pytest.mark.parametrize("seed", range(2))
def test_shuffled_repeated_and_concurrent_deliveries_end_the_same(
    stripe: Stripe, committed: None, history: History, seed: int
) -> None:
    chance = random.Random(seed)
    tape = Tape(stripe, package(**OFFER), history)
    purchase, events = tape.copy()
    shuffles = [chance.sample(events * 2, len(events) * 2) for _ in range(8)]

    answers = at_once(8, lambda index: [deliver(event) for event in shuffles[index]])

    assert statuses([*chain(*answers)]) == {200: len(events) * 16}
    assert end_of(purchase) == history.end


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("name", HISTORIES)
def test_lost_events_are_made_up_for_by_reconciliation(stripe: Stripe, name: str) -> None:
    chance = random.Random(name)
    offer = package(**OFFER)
    history = HISTORIES[name]
    purchases = []
    for kept in (0.0, 0.5):
        seen = len(stripe.events())
        purchase = start(offer, checkout=history.checkout)
        history.act(stripe, str(purchase.pk))
        for event in stripe.events()[seen:]:
            if chance.random() < kept:
                deliver(event)
        purchases.append(purchase)

    call_command("reconcile_stripe", "--since", "1d")

    assert [end_of(purchase) for purchase in purchases] == [history.end] * 2
