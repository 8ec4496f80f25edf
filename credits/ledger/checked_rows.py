"""The rows that a check of the books reads, as common table expressions for its rules."""

# accounts: the balances of the users %(users)s, with their state at the last check. With
# %(since_last)s false, no state is used and all entries are checked.
# walks: the accounts with the sums of the entries after `checked`, and the breaks in their chains.
# keyed: the entries after `checked` that have a cause, refer to an original, or have an idempotency
# key of the last day (an hour less, for clocks).
SOURCES = """
    accounts AS MATERIALIZED (
        SELECT b.*, coalesce(c.last_number, 0) AS checked,
               coalesce(c.posted, 0) AS checked_posted,
               coalesce(c.total_earned, 0) AS checked_earned,
               coalesce(c.total_spent, 0) AS checked_spent,
               coalesce(c.used, 0) AS checked_used, coalesce(c.usages, 0) AS checked_usages,
               c.digest AS checked_digest
        FROM (SELECT DISTINCT unnest(%(users)s::text[]) AS user_id) u
        CROSS JOIN LATERAL (
            SELECT * FROM credits.balances WHERE user_id = u.user_id OFFSET 0
        ) b
        LEFT JOIN LATERAL (
            SELECT * FROM credits.checked_balances
            WHERE user_id = u.user_id AND %(since_last)s::boolean OFFSET 0
        ) c ON true
        ORDER BY b.user_id
    ),
    walks AS MATERIALIZED (
        SELECT a.*, e.* FROM accounts a CROSS JOIN LATERAL (
            SELECT a.checked_posted + coalesce(sum(amount), 0) AS walked_posted,
                   a.checked_earned + coalesce(sum(amount + spent_change), 0) AS walked_earned,
                   a.checked_spent + coalesce(sum(spent_change), 0) AS walked_spent,
                   coalesce(max(number), a.checked) AS walked_to,
                   a.checked_used - coalesce(sum(amount) FILTER (WHERE type = 'usage'), 0) AS used,
                   a.checked_usages + count(*) FILTER (WHERE type = 'usage') AS usages,
                   array_agg(
                       format('transaction %%s follows %%s: balance %%s after %%s',
                              number, previous_number, balance_before, previous_after)
                   ) FILTER (
                       WHERE number <> previous_number + 1 OR balance_before <> previous_after
                   ) AS breaks,
                   array_agg(
                       format('transaction %%s is for %%s, which the catalogue does not have',
                              number, operation)
                   ) FILTER (
                       WHERE operation <> ALL (ARRAY(SELECT key FROM credits.operations))
                   ) AS unpriced,
                   array_agg(
                       format('transaction %%s took %%s, its units cost %%s', number, -amount, due)
                   ) FILTER (WHERE metering IS NOT NULL AND -amount IS DISTINCT FROM due)
                       AS misprices,
                   min(number) FILTER (
                       WHERE NOT credits.transaction_fits(
                           entry, previous_digest, a.chain_id, a.chain_salt)
                   ) AS misfit
            FROM (
                SELECT number, type, amount, spent_change, balance_before, operation, t AS entry,
                       metering, credits.metered_price(metering)
                           - coalesce((metering ->> 'unpaid')::numeric, 0) AS due,
                       lag(number, 1, a.checked) OVER w AS previous_number,
                       lag(balance_after, 1, a.checked_posted) OVER w AS previous_after,
                       lag(digest, 1, a.checked_digest) OVER w AS previous_digest
                FROM credits.transactions t
                WHERE user_id = a.user_id AND number > a.checked
                WINDOW w AS (ORDER BY number)
            ) chain
        ) e
    ),
    keyed AS MATERIALIZED (
        SELECT t.* FROM accounts a CROSS JOIN LATERAL (
            SELECT id, user_id, number, type, amount, cause, related_id,
                   CASE WHEN created_at > now() - interval '23 hours'
                       THEN idempotency_key END AS recent_key
            FROM credits.transactions
            WHERE user_id = a.user_id AND number > a.checked
              -- coalesce prevents the index on causes
              AND (coalesce(cause, related_id::text) IS NOT NULL
                   OR idempotency_key IS NOT NULL AND created_at > now() - interval '23 hours')
            OFFSET 0
        ) t
    )
"""
