"""The rules of gifts as queries, run with those of the ledger (see `credits.ledger.book_rules`).

The invariant: gifts neither create nor destroy credits. The credits that left a creator are in an
active gift, or have arrived exactly once, at the redeemer or back at the creator.
"""

# `count(*) = 0` instead of NOT EXISTS has the same purpose: the planner turns NOT EXISTS into a
# join.
# `OFFSET 0` keeps the planner from flattening a subquery. Each user's rows are then found by an
# index, also in large tables (docs/decisions/0009-large-ledgers.md).
RULES = {
    "a gift was paid for by its creator": """
        SELECT g.* FROM accounts a CROSS JOIN LATERAL (
            SELECT g.creator_id, format('gift %%s of %%s was paid by %%s of %%s (%%s)',
                                        g.id, g.total_credits, t.amount, t.user_id, t.cause)
            FROM gifts.gift_codes g LEFT JOIN LATERAL (
                SELECT * FROM credits.transactions
                WHERE user_id = g.creator_id AND id = g.payment_id OFFSET 0
            ) t ON true
            WHERE g.creator_id = a.user_id
              AND (t.amount, t.type) IS DISTINCT FROM (-g.total_credits, 'gift')
            OFFSET 0
        ) g
    """,
    "a gift's credits arrived once, where its status says": """
        SELECT g.* FROM accounts a CROSS JOIN LATERAL (
            SELECT g.creator_id, format('gift %%s of %%s is %%s, %%s arrived at %%s',
                                        g.id, g.total_credits, g.status,
                                        coalesce(t.amount, 0), coalesce(t.user_id, 'nobody'))
            FROM gifts.gift_codes g
            LEFT JOIN LATERAL (
                SELECT * FROM gifts.gift_redemptions WHERE gift_code_id = g.id OFFSET 0
            ) r ON true
            LEFT JOIN LATERAL (
                SELECT * FROM credits.transactions
                WHERE user_id = ANY (ARRAY[g.creator_id, r.redeemer_id])
                  AND cause = 'gift:' || g.id OFFSET 0
            ) t ON true
            WHERE g.creator_id = a.user_id AND NOT CASE g.status
                WHEN 'active' THEN r.id IS NULL AND t.id IS NULL
                WHEN 'depleted' THEN (t.id, t.user_id, t.amount) IS NOT DISTINCT FROM
                                     (r.transaction_id, r.redeemer_id, g.total_credits)
                ELSE r.id IS NULL AND (t.user_id, t.amount) IS NOT DISTINCT FROM
                                      (g.creator_id, g.total_credits)
            END
            OFFSET 0
        ) g
    """,
    "every movement of a gift belongs to one": """
        SELECT t.user_id, format('transaction %%s of %%s (%%s) belongs to no gift',
                                 t.number, t.amount, t.cause)
        FROM keyed t
        WHERE t.cause ~ '^gift(-created)?:' AND (
            SELECT count(*) FROM gifts.gift_codes g
            LEFT JOIN gifts.gift_redemptions r ON r.gift_code_id = g.id
            -- Null for a damaged cause without an id.
            WHERE g.id = substring(
                t.cause FROM ':([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$'
            )::uuid
              AND (t.id IN (g.payment_id, r.transaction_id)
                   OR (t.cause, t.user_id) = ('gift:' || g.id, g.creator_id))
        ) = 0
    """,
}
