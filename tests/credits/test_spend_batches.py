"""A batch of spends writes the same rows as single spends in the same order."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.errors import DomainError
from credits.ledger import ledger, spend_batches
from credits.ledger.posting import Memo, Origin, Priced
from credits.ledger.spend_batches import Spend
from credits.models import Balance, IdempotencyKey, Transaction, UsageStat
from tests.factories import give, meter

pytestmark = pytest.mark.django_db

# Far in the future: a row of an earlier day is recorded with the time of its own insertion.
NOW = datetime(2099, 1, 31, 12, tzinfo=UTC)
ITEMS = 40
METERED = "ai_image_generation"
OPERATIONS = ["ai_chat_gpt4", "teleport", "ai_chat_ollama", METERED]
UNITS = ["inputTokens", "outputTokens", "imageTokens"]


def twins(seed: int) -> list[tuple[int, Decimal | Priced, str | None, str]]:
    """Return items of three users with repeated keys, missing funds, unknown operations, units."""
    chance = random.Random(seed)

    def amount() -> Decimal | Priced:
        if chance.random() < 0.3:
            names = chance.sample(UNITS, chance.choice([0, 1, 1, 2]))
            units = {name: chance.randint(0, 30_000) for name in names}
            return Priced(chance.choice([METERED] * 4 + OPERATIONS), None, units)
        if chance.random() < 0.3:
            return Priced(chance.choice(OPERATIONS), chance.randint(1, 30))
        return Decimal(chance.randint(1, 400_000)) / 10_000

    def key() -> str | None:
        return chance.choice([None, "k1", "k2", f"k{chance.randint(3, 30)}"])

    return [
        (chance.randrange(4), amount(), key(), chance.choice(["chat", "todo"]))
        for _ in range(ITEMS)
    ]


def rows_of(side: str) -> list[Any]:
    """Return the rows of one side's users, without ids and what follows from them."""
    hidden = {"id", "user_id", "subject_id", "related_id", "request_id"}
    hidden |= {"chain_id", "chain_salt", "last_digest", "digest"}
    return [
        {name: value for name, value in row.items() if name not in hidden}
        for model, order in (
            (Balance, ("user_id",)),
            (Transaction, ("user_id", "number")),
            (IdempotencyKey, ("user_id", "key")),
            (UsageStat, ("user_id", "app_id")),
        )
        for row in model.objects.filter(user_id__startswith=side).order_by(*order).values()
    ]


def told(result: Any) -> tuple[Any, ...]:
    if isinstance(result, DomainError):
        return result.code, result.details
    entry, balance = result.transaction, result.balance
    shown = (balance.available, balance.total_earned, balance.total_spent)
    return result.replayed, entry.number, entry.amount, entry.balance_after, shown


@pytest.mark.parametrize("seed", range(12))
def test_a_batch_writes_the_same_rows_as_the_single_verb(seed: int) -> None:
    _compare(seed)


def test_on_a_cluster_each_item_is_one_call(settings: Any) -> None:
    settings.DATABASE_SHARDED = True
    with CaptureQueriesContext(connection) as statements:
        _compare(seed=3)

    assert not [query for query in statements if "spend_batch" in query["sql"]]


def _compare(seed: int) -> None:
    origin = Origin("service:test", at=NOW)
    meter(METERED, minimum="0.01")
    for side in ("one", "all"):
        for user in range(3):
            ledger.grant(
                f"{side}-{user}", Decimal(150), memo=Memo(), origin=origin, cause=f"grant:{side}"
            )
        ledger.spend(
            f"{side}-0", Decimal(1), memo=Memo("chat", "x"), origin=origin._replace(key="k2")
        )
    items = twins(seed)

    singly: list[Any] = []
    for user, amount, key, app in items:
        try:
            singly.append(
                ledger.spend(
                    f"one-{user}", amount, memo=Memo(app, "x"), origin=origin._replace(key=key)
                )
            )
        except DomainError as refusal:
            singly.append(refusal)
    together = spend_batches.spend_all(
        [Spend(f"all-{user}", amount, Memo(app, "x"), key) for user, amount, key, app in items],
        origin=origin,
    )

    assert [told(result) for result in together] == [told(result) for result in singly]
    causes = [{**row, "cause": None} if "cause" in row else row for row in rows_of("one")]
    assert [{**row, "cause": None} if "cause" in row else row for row in rows_of("all")] == causes
    assert len(causes) > 10


@pytest.mark.parametrize("sharded", [False, True])
def test_an_invalid_amount_is_refused_in_its_place(settings: Any, sharded: bool) -> None:
    settings.DATABASE_SHARDED = sharded
    give("alice", 10)
    amounts = (Decimal(1), Decimal(-1), Decimal("0.00001"), Decimal(2))

    results = spend_batches.spend_all(
        [Spend("alice", amount, Memo()) for amount in amounts], origin=Origin("service")
    )
    none = spend_batches.spend_all([Spend("alice", Decimal(0), Memo())], origin=Origin("service"))

    codes = [getattr(result, "code", "posted") for result in (*results, *none)]
    assert codes == ["posted", "invalid_amount", "invalid_amount", "posted", "invalid_amount"]
    assert Balance.objects.get(pk="alice").posted == 7
