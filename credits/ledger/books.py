"""The rules of the money as queries: what is wrong with the books, each thing in a sentence.

Every query names the users it looks at, so that a check walks through a ledger of any size in
batches.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.sql import quote

from credits.ledger.db_functions import server_cursor
from credits.models import Balance


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that the books do not explain: the rule, the user and a sentence."""

    rule: str
    user_id: str
    sentence: str


class BooksDoNotClose(Exception):
    """A check of all users found discrepancies; each was printed or logged."""


# Each query yields a user's id and a sentence for whatever breaks the rule, among %(users)s.
RULES = {
    "posted is the sum of the transactions": """
        SELECT user_id, format('posted is %%s, the transactions sum up to %%s',
                               b.posted, coalesce(t.total, 0))
        FROM credits.balances b LEFT JOIN (
            SELECT user_id, sum(amount) AS total FROM credits.transactions
            WHERE user_id = ANY(%(users)s) GROUP BY user_id
        ) t USING (user_id)
        WHERE user_id = ANY(%(users)s) AND b.posted <> coalesce(t.total, 0)
    """,
    "held is the sum of the open reservations": """
        SELECT user_id, format('held is %%s, the open reservations sum up to %%s',
                               b.held, coalesce(r.total, 0))
        FROM credits.balances b LEFT JOIN (
            SELECT user_id, sum(amount) AS total FROM credits.reservations
            WHERE status = 'open' AND user_id = ANY(%(users)s) GROUP BY user_id
        ) r USING (user_id)
        WHERE user_id = ANY(%(users)s) AND b.held <> coalesce(r.total, 0)
    """,
    "the lifetime totals are what the transactions made them": """
        SELECT user_id, format('earned is %%s and spent %%s, not %%s and %%s',
                               b.total_earned, b.total_spent,
                               coalesce(t.earned, 0), coalesce(t.spent, 0))
        FROM credits.balances b LEFT JOIN (
            SELECT user_id, sum(amount + spent_change) AS earned, sum(spent_change) AS spent
            FROM credits.transactions
            WHERE user_id = ANY(%(users)s) GROUP BY user_id
        ) t USING (user_id)
        WHERE user_id = ANY(%(users)s)
          AND (b.total_earned, b.total_spent) <> (coalesce(t.earned, 0), coalesce(t.spent, 0))
    """,
    "the chain of transactions has no gap": """
        SELECT user_id, format('transaction %%s follows %%s: balance %%s after %%s',
                               number, previous_number, balance_before, previous_after)
        FROM (
            SELECT user_id, number, balance_before,
                   lag(number, 1, 0) OVER w AS previous_number,
                   lag(balance_after, 1, 0) OVER w AS previous_after
            FROM credits.transactions
            WHERE user_id = ANY(%(users)s)
            WINDOW w AS (PARTITION BY user_id ORDER BY number)
        ) chain
        WHERE number <> previous_number + 1 OR balance_before <> previous_after
    """,
    "the balance counts its transactions": """
        SELECT user_id, format('the last transaction is %%s, the balance says %%s',
                               coalesce(t.newest, 0), b.last_number)
        FROM credits.balances b LEFT JOIN (
            SELECT user_id, max(number) AS newest FROM credits.transactions
            WHERE user_id = ANY(%(users)s) GROUP BY user_id
        ) t USING (user_id)
        WHERE user_id = ANY(%(users)s) AND b.last_number <> coalesce(t.newest, 0)
    """,
    "what is given back does not exceed its original": """
        SELECT r.user_id, format('%%s came back of transaction %%s, which moved %%s',
                                 sum(r.amount), o.number, o.amount)
        FROM credits.transactions r
        LEFT JOIN credits.transactions o ON o.user_id = r.user_id AND o.id = r.related_id
        WHERE r.user_id = ANY(%(users)s) AND r.related_id IS NOT NULL
        GROUP BY r.user_id, r.related_id, o.number, o.amount HAVING o.number IS NULL
            OR abs(sum(r.amount)) > abs(o.amount) OR sign(sum(r.amount)) = sign(o.amount)
    """,
    "a committed reservation took what its transaction says": """
        SELECT r.user_id, format('reservation %%s took %%s, its transaction %%s',
                                 r.id, r.committed_amount, t.amount)
        FROM credits.reservations r
        LEFT JOIN credits.transactions t ON t.user_id = r.user_id AND t.id = r.transaction_id
        WHERE r.user_id = ANY(%(users)s) AND r.transaction_id IS NOT NULL
          AND t.amount IS DISTINCT FROM -r.committed_amount
    """,
    "a priced entry names an operation of the catalogue": """
        SELECT user_id, format('transaction %%s is for %%s, which the catalogue does not have',
                               number, operation)
        FROM credits.transactions t
        WHERE user_id = ANY(%(users)s) AND operation IS NOT NULL
          AND NOT EXISTS (SELECT FROM credits.operations o WHERE o.key = t.operation)
    """,
    "the newest charge of Cloud Sync is the period that is paid": """
        SELECT user_id, format('charged for %%s, the subscription says %%s', t.cause, s.charge)
        FROM (
            SELECT DISTINCT ON (user_id) user_id, id, cause FROM credits.transactions
            WHERE cause LIKE 'sync:%%' AND user_id = ANY(%(users)s)
            ORDER BY user_id, number DESC
        ) t FULL JOIN (
            SELECT user_id, charge_id, 'sync:' || user_id || ':' || to_char(
                paid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS charge
            FROM credits.sync_subscriptions
            WHERE charge_id IS NOT NULL AND user_id = ANY(%(users)s)
        ) s USING (user_id)
        WHERE (t.id, replace(t.cause, '.000000+', '+'))
            IS DISTINCT FROM (s.charge_id, replace(s.charge, '.000000+', '+'))
    """,
    "usage statistics count every usage": """
        SELECT user_id, format('%%s in %%s: counted %%s in %%s usages, the ledger has %%s in %%s',
                               date, app_id, s.credits_used, s.transactions, t.used, t.count)
        FROM (
            SELECT * FROM credits.usage_stats WHERE user_id = ANY(%(users)s)
        ) s FULL JOIN (
            SELECT user_id, (created_at AT TIME ZONE 'UTC')::date AS date, app_id,
                   -sum(amount) AS used, count(*) AS count
            FROM credits.transactions
            WHERE type = 'usage' AND user_id = ANY(%(users)s)
            GROUP BY 1, 2, 3
        ) t USING (user_id, date, app_id)
        WHERE (s.credits_used, s.transactions) IS DISTINCT FROM (t.used, t.count)
    """,
    "a paid purchase has exactly its credits": """
        SELECT user_id, format('purchase %%s of %%s credits is %%s, the ledger credited %%s',
                               p.id, p.credits, p.status, coalesce(t.amount, 0))
        FROM (
            SELECT *, 'purchase:' || id AS cause FROM credits.purchases
            WHERE user_id = ANY(%(users)s)
        ) p FULL JOIN (
            SELECT * FROM credits.transactions
            WHERE user_id = ANY(%(users)s) AND type = 'purchase' AND cause LIKE 'purchase:%%'
        ) t USING (cause, user_id)
        WHERE t.id IS DISTINCT FROM p.transaction_id
           OR (t.id IS NOT NULL AND t.amount <> p.credits)
    """,
    "what went back took its credits": """
        SELECT p.user_id, format('%%s %%s holds %%s, the ledger took %%s',
                                 r.kind, r.stripe_id, r.taken, coalesce(t.taken, 0))
        FROM credits.purchases p JOIN credits.returns r USING (stripe_payment_intent_id)
        LEFT JOIN (
            SELECT c.user_id, split_part(c.cause, ':', 1) AS kind,
                   split_part(c.cause, ':', 2) AS stripe_id,
                   -sum(c.amount + coalesce(b.amount, 0)) AS taken
            FROM credits.transactions c LEFT JOIN credits.transactions b
                ON b.related_id = c.id AND b.type = 'reinstatement'
            WHERE c.user_id = ANY(%(users)s) AND c.type = 'clawback'
            GROUP BY 1, 2, 3
        ) t USING (user_id, kind, stripe_id)
        WHERE p.user_id = ANY(%(users)s) AND r.taken <> coalesce(t.taken, 0)
    """,
    "claw-backs follow the money that went back": """
        SELECT user_id, format('%%s was taken of purchase %%s, %%s of its %%s cents went back',
                               taken, id, cents, price)
        FROM (
            SELECT p.user_id, p.id, p.price_euro_cents AS price, sum(r.taken) AS taken,
                   coalesce(sum(r.amount_cents) FILTER (WHERE r.state = 'gone'), 0) AS cents,
                   CASE WHEN p.transaction_id IS NULL THEN 0 ELSE p.credits END AS credits
            FROM credits.purchases p JOIN credits.returns r USING (stripe_payment_intent_id)
            WHERE p.user_id = ANY(%(users)s)
            GROUP BY p.id
        ) went
        WHERE taken <> trunc(credits * least(cents, price) / price, 4)
    """,
}


def add_rules(rules: Mapping[str, str]) -> None:
    """Let the checks below also run another app's `rules`, queries like those of RULES."""
    RULES.update(rules)


ORPHANS = """
    SELECT DISTINCT 'every row belongs to a balance', user_id, 'has rows, but no balance' FROM (
        SELECT user_id FROM credits.transactions
        UNION SELECT user_id FROM credits.reservations
        UNION SELECT user_id FROM credits.usage_stats
        UNION SELECT user_id FROM credits.sync_subscriptions WHERE charge_id IS NOT NULL
    ) r WHERE NOT EXISTS (SELECT FROM credits.balances b WHERE b.user_id = r.user_id)
      AND (%(users)s::text[] IS NULL OR user_id = ANY(%(users)s))
"""


def check_all(*, batch_size: int) -> Iterator[tuple[int, list[Discrepancy]]]:
    """Check every user's books; yield, batch by batch, how many users and what is wrong.

    Memory does not grow with the ledger. Each batch is seen in one snapshot, so movements under
    way are no discrepancies.
    """
    for users in all_users(batch_size=batch_size):
        yield len(users), check(users)
    yield 0, orphans()


def all_users(*, batch_size: int) -> Iterator[list[str]]:
    """Yield all users who have a balance, in lists of `batch_size`."""
    after = ""
    while users := list(
        Balance.objects.filter(pk__gt=after)
        .order_by("pk")
        .values_list("pk", flat=True)[:batch_size]
    ):
        yield users
        after = users[-1]


def check(users: list[str]) -> list[Discrepancy]:
    """Return what is wrong with the books of these users: one statement, hence one snapshot."""
    rules = [f"SELECT {quote(rule)}, r.* FROM ({query}) r" for rule, query in RULES.items()]  # noqa: S608
    return _discrepancies(" UNION ALL ".join(rules), users)


def orphans(users: list[str] | None = None) -> list[Discrepancy]:
    """Return the users, of these or of all, who have rows but no balance."""
    return _discrepancies(ORPHANS, users)


@contextmanager
def snapshot() -> Iterator[CursorWrapper]:
    """Yield a cursor that sees one moment and changes nothing, unless a transaction is open."""
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield cursor


def _discrepancies(query: str, users: list[str] | None) -> list[Discrepancy]:
    with server_cursor() as cursor:
        cursor.execute(query, {"users": users})
        return [Discrepancy(*row) for row in cursor.fetchall()]
