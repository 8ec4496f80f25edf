"""The rules of the money as queries. Each returns a user id and a sentence per discrepancy.

A rule reads from the common table expressions of `credits.ledger.checked_rows`. It reads other
tables per user or per row, through LATERAL subqueries with OFFSET 0, which prevent PostgreSQL from
turning them into joins of whole tables. Therefore the plan is the same for every batch, prepared or
not, independent of the planner's estimates, and the work is proportional to the checked rows.
"""

from collections.abc import Mapping

from credits.ledger.lot_rules import LOT_RULES
from credits.ledger.purchase_rules import PURCHASE_RULES

RULES = {
    "posted is the sum of the transactions": """
        SELECT user_id, format('posted is %%s, the transactions sum up to %%s',
                               posted, walked_posted)
        FROM walks WHERE posted <> walked_posted
    """,
    "held is the sum of the open reservations": """
        SELECT a.user_id, format('held is %%s, the open reservations sum up to %%s',
                                 a.held, r.total)
        FROM accounts a CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount), 0) AS total FROM credits.reservations
            WHERE user_id = a.user_id AND status = 'open'
        ) r
        WHERE a.held <> r.total
    """,
    "the lifetime totals match the transactions": """
        SELECT user_id, format('earned is %%s and spent %%s, not %%s and %%s',
                               total_earned, total_spent, walked_earned, walked_spent)
        FROM walks WHERE (total_earned, total_spent) <> (walked_earned, walked_spent)
    """,
    "the chain of transactions has no gap": """
        SELECT w.user_id, b.sentence FROM walks w CROSS JOIN unnest(w.breaks) AS b(sentence)
    """,
    "every transaction matches its digest": """
        SELECT user_id,
            format('transaction %%s is the first that does not match its digest', misfit)
        FROM walks WHERE misfit IS NOT NULL
    """,
    "the balance has the digest of its newest transaction": """
        SELECT w.user_id, format('the digest of transaction %%s is %%s, the balance says %%s',
                                 w.walked_to, encode(t.digest, 'hex'), encode(w.last_digest, 'hex'))
        FROM walks w LEFT JOIN LATERAL (
            SELECT digest FROM credits.transactions
            WHERE user_id = w.user_id AND number = w.walked_to OFFSET 0
        ) t ON true
        WHERE w.last_digest IS DISTINCT FROM t.digest
    """,
    "the balance counts its transactions": """
        SELECT user_id, format('the last transaction is %%s, the balance has %%s',
                               walked_to, last_number)
        FROM walks WHERE last_number <> walked_to
    """,
    "what is given back is at most its original": """
        SELECT k.user_id, format('%%s was given back of transaction %%s, which moved %%s',
                                 r.total, o.number, o.amount)
        FROM (SELECT DISTINCT user_id, related_id FROM keyed WHERE related_id IS NOT NULL) k
        LEFT JOIN LATERAL (
            SELECT * FROM credits.transactions
            WHERE user_id = k.user_id AND id = k.related_id OFFSET 0
        ) o ON true
        CROSS JOIN LATERAL (
            SELECT sum(amount) AS total FROM credits.transactions
            WHERE user_id = k.user_id AND related_id = k.related_id
        ) r
        WHERE o.number IS NULL OR abs(r.total) > abs(o.amount) OR sign(r.total) = sign(o.amount)
    """,
    # Without its key, a retry would post a second time. Keys of the last day are never deleted.
    "a key of the last day names its transaction": """
        SELECT k.user_id, format('the key of transaction %%s names %%s', k.number,
                                 coalesce(i.subject_id::text, 'nothing'))
        FROM keyed k LEFT JOIN LATERAL (
            SELECT subject_id FROM credits.idempotency_keys
            WHERE user_id = k.user_id AND key = k.recent_key OFFSET 0
        ) i ON true
        WHERE k.recent_key IS NOT NULL AND i.subject_id IS DISTINCT FROM k.id
    """,
    # Two queries, because their work must be proportional to the rows to check. A check of changes
    # starts from the new transactions. A full check starts from the reservations, so it also finds
    # one whose transaction is missing. The third finds a commit whose reservation is missing.
    "a committed reservation matches its transaction": """
        SELECT r.* FROM accounts a CROSS JOIN LATERAL (
            SELECT r.user_id, format('reservation %%s took %%s, its transaction %%s',
                                     r.id, r.committed_amount, t.amount)
            FROM credits.transactions t CROSS JOIN LATERAL (
                SELECT * FROM credits.reservations
                WHERE user_id = t.user_id AND transaction_id = t.id OFFSET 0
            ) r
            WHERE t.user_id = a.user_id AND t.number > a.checked
              AND a.checked > 0 AND t.amount <> -r.committed_amount
            OFFSET 0
        ) r
        UNION ALL
        SELECT r.* FROM accounts a CROSS JOIN LATERAL (
            SELECT r.user_id, format('reservation %%s took %%s, its transaction %%s',
                                     r.id, r.committed_amount, t.amount)
            FROM credits.reservations r LEFT JOIN LATERAL (
                SELECT amount FROM credits.transactions
                WHERE user_id = r.user_id AND id = r.transaction_id OFFSET 0
            ) t ON true
            WHERE r.user_id = a.user_id AND r.transaction_id IS NOT NULL
              AND a.checked = 0 AND t.amount IS DISTINCT FROM -r.committed_amount
            OFFSET 0
        ) r
        UNION ALL
        SELECT k.user_id, format('transaction %%s of %%s (%%s) belongs to no reservation',
                                 k.number, k.amount, k.cause)
        FROM keyed k
        WHERE k.cause LIKE 'reservation:%%' AND (
            SELECT count(*) FROM credits.reservations
            WHERE user_id = k.user_id AND transaction_id = k.id
              AND 'reservation:' || id = k.cause
        ) = 0
    """,
    "a priced entry names an operation of the catalogue": """
        SELECT w.user_id, u.sentence FROM walks w CROSS JOIN unnest(w.unpriced) AS u(sentence)
    """,
    "a metered transaction took the price of its units, minus what is unpaid": """
        SELECT w.user_id, m.sentence FROM walks w CROSS JOIN unnest(w.misprices) AS m(sentence)
    """,
    # Causes contain Python's `isoformat`, which omits microseconds of zero. Hence `replace`.
    # Of the entries that were checked before, only the charge of the subscription can matter.
    "the newest charge of Cloud Sync is for the paid period": """
        SELECT user_id, format('charged for %%s, the subscription says %%s', t.cause, s.charge)
        FROM (
            SELECT DISTINCT ON (user_id) user_id, id, cause FROM (
                SELECT user_id, number, id, cause FROM keyed WHERE cause LIKE 'sync:%%'
                UNION ALL
                SELECT t.user_id, t.number, t.id, t.cause FROM accounts a CROSS JOIN LATERAL (
                    SELECT t.* FROM credits.sync_subscriptions s
                    CROSS JOIN LATERAL (
                        SELECT * FROM credits.transactions
                        WHERE user_id = s.user_id AND id = s.charge_id OFFSET 0
                    ) t
                    WHERE s.user_id = a.user_id
                      AND t.number <= a.checked AND t.cause LIKE 'sync:%%'
                    OFFSET 0
                ) t
            ) charges
            ORDER BY user_id, number DESC
        ) t FULL JOIN (
            SELECT s.* FROM accounts a CROSS JOIN LATERAL (
                SELECT user_id, charge_id, 'sync:' || user_id || ':' || to_char(
                    paid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS charge
                FROM credits.sync_subscriptions
                WHERE user_id = a.user_id AND charge_id IS NOT NULL
                OFFSET 0
            ) s
        ) s USING (user_id)
        WHERE (t.id, replace(t.cause, '.000000+', '+'))
            IS DISTINCT FROM (s.charge_id, replace(s.charge, '.000000+', '+'))
    """,
    # The charge says in milliseconds until when it paid. Its digest protects what it says.
    "Cloud Sync is paid until the end of its charge": """
        SELECT s.* FROM accounts a CROSS JOIN LATERAL (
            SELECT s.user_id, format('paid until %%s, the charge says %%s', s.until, t.until)
            FROM (
                SELECT user_id, charge_id, to_char(paid_until AT TIME ZONE 'UTC',
                                                   'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS until
                FROM credits.sync_subscriptions WHERE user_id = a.user_id
            ) s CROSS JOIN LATERAL (
                SELECT metadata ->> 'until' AS until FROM credits.transactions
                WHERE user_id = s.user_id AND id = s.charge_id OFFSET 0
            ) t
            WHERE s.until IS DISTINCT FROM t.until
            OFFSET 0
        ) s
    """,
    # By day, in a full check only. The next rule compares the sums, for which a check of changes
    # needs no old usages.
    "usage statistics count every usage": """
        SELECT a.user_id, u.sentence FROM accounts a CROSS JOIN LATERAL (
            SELECT format('%%s in %%s: %%s counted, usages: %%s; %%s in the ledger, usages: %%s',
                          date, app_id, s.credits_used, s.transactions, t.used, t.count)
                AS sentence
            FROM (
                SELECT * FROM credits.usage_stats WHERE user_id = a.user_id
            ) s FULL JOIN (
                SELECT (created_at AT TIME ZONE 'UTC')::date AS date, app_id,
                       -sum(amount) AS used, count(*) AS count
                FROM credits.transactions
                WHERE user_id = a.user_id AND type = 'usage'
                GROUP BY 1, 2
            ) t USING (date, app_id)
            WHERE (s.credits_used, s.transactions) IS DISTINCT FROM (t.used, t.count)
            OFFSET 0
        ) u
        WHERE a.checked = 0
    """,
    "usage statistics add up to all usages": """
        SELECT w.user_id, format('%%s counted, usages: %%s; %%s in the ledger, usages: %%s',
                                 s.used, s.usages, w.used, w.usages)
        FROM walks w CROSS JOIN LATERAL (
            SELECT coalesce(sum(credits_used), 0) AS used,
                   coalesce(sum(transactions), 0) AS usages
            FROM credits.usage_stats WHERE user_id = w.user_id
        ) s
        WHERE w.checked > 0 AND (s.used, s.usages) <> (w.used, w.usages)
    """,
    # See `credits.mark_settings`. An unneeded mark only costs time.
    "movements read every limit and notice": """
        SELECT a.user_id, format('has_settings is not true, but there are %%s settings', s.count)
        FROM accounts a CROSS JOIN LATERAL (
            SELECT (SELECT count(*) FROM credits.spending_limits WHERE user_id = a.user_id)
                 + (SELECT count(*) FROM credits.auto_top_ups WHERE user_id = a.user_id)
                 + (SELECT count(*) FROM credits.account_settings
                    WHERE user_id = a.user_id AND low_balance IS NOT NULL) AS count
            OFFSET 0
        ) s
        WHERE s.count > 0 AND a.has_settings IS NOT TRUE
    """,
    **PURCHASE_RULES,
    **LOT_RULES,
}


def add_rules(rules: Mapping[str, str]) -> None:
    """Add another app's rules to every check."""
    RULES.update(rules)
