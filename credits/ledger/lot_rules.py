"""The rules of credits that expire, as queries (see `credits.ledger.book_rules` for their form).

A lot is checked while it has credits left, and in every full check.
"""

LOT_RULES = {
    "the parts of a lot add up to its transaction": """
        SELECT l.* FROM accounts a CROSS JOIN LATERAL (
            SELECT l.user_id,
                   format('lot %%s of %%s: %%s remaining, %%s repaid, %%s expired, %%s used;'
                          ' its transaction gave %%s',
                          l.transaction_id, l.amount, l.remaining, l.repaid, l.expired, u.used,
                          t.amount)
            FROM credits.credit_lots l
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(taken - given_back), 0) AS used FROM credits.lot_uses
                WHERE user_id = l.user_id AND lot_id = l.transaction_id
            ) u
            LEFT JOIN LATERAL (
                SELECT amount FROM credits.transactions
                WHERE user_id = l.user_id AND id = l.transaction_id OFFSET 0
            ) t ON true
            WHERE l.user_id = a.user_id AND (a.checked = 0 OR l.remaining > 0)
              AND (t.amount, l.remaining + l.repaid + l.expired + u.used)
                  IS DISTINCT FROM (l.amount, l.amount)
            OFFSET 0
        ) l
    """,
    "an expiry takes what expired of its lot": """
        SELECT l.* FROM accounts a CROSS JOIN LATERAL (
            SELECT l.user_id, format('lot %%s lost %%s, its expiries took %%s',
                                     l.transaction_id, l.expired, t.taken)
            FROM credits.credit_lots l CROSS JOIN LATERAL (
                SELECT coalesce(-sum(amount), 0) AS taken FROM credits.transactions
                WHERE user_id = l.user_id AND related_id = l.transaction_id AND type = 'expiry'
            ) t
            WHERE l.user_id = a.user_id AND (a.checked = 0 OR l.remaining > 0)
              AND l.expired <> t.taken
            OFFSET 0
        ) l
        UNION ALL
        SELECT k.user_id, format('expiry %%s of %%s names no lot', k.number, k.amount)
        FROM keyed k LEFT JOIN LATERAL (
            SELECT true AS found FROM credits.credit_lots
            WHERE user_id = k.user_id AND transaction_id = k.related_id OFFSET 0
        ) l ON true
        -- An erasure deletes the lots.
        WHERE k.type = 'expiry' AND l.found IS NULL AND k.user_id NOT LIKE 'erased:%%'
    """,
    "lots have at most the available credits": """
        SELECT a.user_id, format('%%s are available, the lots have %%s',
                                 a.posted - a.held, l.remaining)
        FROM accounts a CROSS JOIN LATERAL (
            SELECT coalesce(sum(remaining), 0) AS remaining FROM credits.credit_lots
            WHERE user_id = a.user_id AND remaining > 0
        ) l
        WHERE l.remaining > greatest(a.posted - a.held, 0)
    """,
    "next_expiry is the expiry of the first lot with credits left": """
        SELECT a.user_id, format('the first lot expires at %%s, the balance says %%s',
                                 l.first, a.next_expiry)
        FROM accounts a CROSS JOIN LATERAL (
            SELECT min(expires_at) AS first FROM credits.credit_lots
            WHERE user_id = a.user_id AND remaining > 0
        ) l
        WHERE a.next_expiry IS DISTINCT FROM l.first
    """,
    "a transaction or hold takes at most its amount from lots": """
        SELECT u.* FROM accounts a CROSS JOIN LATERAL (
            SELECT u.user_id,
                   format('%%s took %%s from lots and gave back %%s; it is of %%s',
                          u.taker_id, u.taken, u.given_back, coalesce(t.amount, r.amount))
            FROM (
                SELECT user_id, taker_id, sum(taken) AS taken, sum(given_back) AS given_back
                FROM credits.lot_uses WHERE user_id = a.user_id AND a.checked = 0
                GROUP BY user_id, taker_id
            ) u
            LEFT JOIN LATERAL (
                SELECT -amount AS amount, (
                    SELECT coalesce(sum(amount), 0) FROM credits.transactions b
                    WHERE b.user_id = o.user_id AND b.related_id = o.id
                ) AS given_back
                FROM credits.transactions o WHERE user_id = u.user_id AND id = u.taker_id OFFSET 0
            ) t ON true
            LEFT JOIN LATERAL (
                SELECT amount FROM credits.reservations
                WHERE user_id = u.user_id AND id = u.taker_id AND status = 'open' OFFSET 0
            ) r ON true
            WHERE u.taken > coalesce(t.amount, r.amount, 0)
               OR u.given_back > coalesce(t.given_back, 0)
            OFFSET 0
        ) u
    """,
}
