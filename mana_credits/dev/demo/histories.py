"""The planned entries of a batch of people. Each plan keeps within the available credits.

The same people and the same random numbers give the same histories.
"""

from collections.abc import Sequence
from itertools import accumulate
from random import Random

from mana_credits.dev.demo import planned_acts, planned_gifts, planned_purchases
from mana_credits.dev.demo.demo_users import DemoPerson
from mana_credits.dev.demo.planned_account import DemoWorld, Histories, PlannedAccount

NEWCOMERS_WHO_BUY = 0.2
HOLDING = 0.03
DEBTORS = 0.01
BUSY = 50


def give_or_use(account: PlannedAccount) -> None:
    """Create a gift; if that is not possible, use an operation."""
    if not planned_gifts.give(account):
        planned_acts.use(account)


# Weights per 1,000 entries of a user who has credits. The rest is use.
HABITS = (
    (planned_acts.use_unpriced, 30),
    (planned_acts.refund, 25),
    (give_or_use, 30),
    (planned_acts.grant, 8),
    (planned_acts.correct, 4),
    (planned_acts.subscribe, 10),
    (planned_purchases.buy, 8),
)
ACTS = (planned_acts.use, *(act for act, _ in HABITS))
WEIGHTS = (1_000 - sum(weight for _, weight in HABITS), *(weight for _, weight in HABITS))
CUMULATIVE = tuple(accumulate(WEIGHTS))


def of(people: Sequence[DemoPerson], world: DemoWorld, chance: Random) -> Histories:
    """Return the entries of these people. Gifts go to people later in the list."""
    made = Histories()
    for place, person in enumerate(people):
        account = PlannedAccount(person, people[place + 1 :], world, chance, made)
        for account.index in range(len(person.times)):
            _act(account)
        if person.times and chance.random() < HOLDING:
            planned_acts.hold(account)
    return made


def _act(account: PlannedAccount) -> None:
    if planned := account.plans.pop(account.index, None):
        planned(account)
    elif gift := account.person.inbox.get(account.index):
        planned_gifts.receive(account, gift)
    elif account.index == 0:
        (
            planned_purchases.buy
            if account.chance.random() < NEWCOMERS_WHO_BUY
            else planned_acts.welcome
        )(account)
    elif account.last and account.chance.random() < DEBTORS:
        planned_acts.overdraw(account)
    elif account.available < 1 and (account.customer_id or len(account.person.times) > BUSY):
        planned_purchases.buy(account)
    else:
        account.chance.choices(ACTS, cum_weights=CUMULATIVE)[0](account)
