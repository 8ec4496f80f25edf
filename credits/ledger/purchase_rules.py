"""The rules of purchases, refunds and disputes, as queries (see `credits.ledger.book_rules`)."""

PURCHASE_RULES = {
    # The second query finds credits of a purchase that does not exist.
    "a paid purchase has exactly its credits": """
        SELECT p.* FROM accounts a CROSS JOIN LATERAL (
            SELECT p.user_id, format('purchase %%s of %%s credits is %%s, the ledger credited %%s',
                                     p.id, p.credits, p.status, coalesce(t.amount, 0))
            FROM credits.purchases p LEFT JOIN LATERAL (
                SELECT id, amount FROM credits.transactions
                WHERE cause = 'purchase:' || p.id AND user_id = p.user_id AND type = 'purchase'
                OFFSET 0
            ) t ON true
            WHERE p.user_id = a.user_id AND (
                t.id IS DISTINCT FROM p.transaction_id
                OR (t.id IS NOT NULL AND t.amount <> p.credits)
            )
            OFFSET 0
        ) p
        UNION ALL
        SELECT k.user_id, format('transaction %%s of %%s (%%s) belongs to no purchase',
                                 k.number, k.amount, k.cause)
        FROM keyed k
        WHERE k.type = 'purchase' AND k.cause LIKE 'purchase:%%' AND (
            -- As text: a damaged cause may have no id.
            SELECT count(*) FROM credits.purchases
            WHERE user_id = k.user_id AND 'purchase:' || id = k.cause
        ) = 0
    """,
    # The claw-backs of a refund or dispute have the causes KIND:ID, KIND:ID:2, and so on up to
    # `takes`. The next cause must not exist. The second query finds a claw-back whose refund or
    # dispute is missing.
    "each refund or dispute matches its claw-backs": """
        SELECT r.* FROM accounts a CROSS JOIN LATERAL (
            SELECT p.user_id, format('%%s %%s holds %%s after %%s claw-backs,'
                                     ' the ledger took %%s in %%s',
                                     r.kind, r.stripe_id, r.taken, r.takes, t.taken, t.takes)
            FROM credits.purchases p JOIN credits.returns r USING (stripe_payment_intent_id)
            CROSS JOIN LATERAL (
                SELECT coalesce(-sum(c.amount + coalesce(b.amount, 0)), 0) AS taken,
                       count(*) AS takes
                FROM generate_series(1, r.takes + 1) AS n
                CROSS JOIN LATERAL (
                    SELECT * FROM credits.transactions
                    WHERE user_id = p.user_id AND type = 'clawback' AND cause =
                        r.kind || ':' || r.stripe_id || CASE n WHEN 1 THEN '' ELSE ':' || n END
                    OFFSET 0
                ) c
                LEFT JOIN LATERAL (
                    SELECT amount FROM credits.transactions
                    WHERE user_id = c.user_id AND related_id = c.id
                      AND type = 'reinstatement' OFFSET 0
                ) b ON true
            ) t
            WHERE p.user_id = a.user_id AND (r.taken, r.takes) <> (t.taken, t.takes)
            OFFSET 0
        ) r
        UNION ALL
        SELECT k.user_id, format('transaction %%s of %%s (%%s) belongs to no refund or dispute',
                                 k.number, k.amount, k.cause)
        FROM keyed k CROSS JOIN LATERAL (
            SELECT metadata ->> 'stripeId' AS stripe_id FROM credits.transactions
            WHERE user_id = k.user_id AND id = k.id OFFSET 0
        ) t
        -- An erasure deletes the metadata.
        WHERE k.type = 'clawback' AND t.stripe_id IS NOT NULL AND (
            SELECT count(*) FROM credits.returns r
            JOIN credits.purchases p USING (stripe_payment_intent_id)
            WHERE r.stripe_id = t.stripe_id AND p.user_id = k.user_id
        ) = 0
    """,
    # The rule before compares two records of the credits. This one computes them again from the
    # cents (`claw_back_shares.due`), so it also finds a refund that took too little.
    "claw-backs match the money that went back": """
        SELECT went.user_id, format('%%s was taken of purchase %%s, %%s of its %%s cents went back',
                                    taken, id, cents, price)
        FROM accounts a CROSS JOIN LATERAL (
            SELECT p.user_id, p.id, p.price_euro_cents AS price, sum(r.taken) AS taken,
                   sum(greatest(r.withdrawn_cents - r.reinstated_cents, 0)) AS cents,
                   CASE WHEN p.transaction_id IS NULL THEN 0 ELSE p.credits END AS credits,
                   CASE WHEN p.expires_after_days IS NULL THEN 0 ELSE (
                       SELECT coalesce(-sum(amount), 0) FROM credits.transactions
                       WHERE user_id = p.user_id AND related_id = p.transaction_id
                         AND type = 'expiry'
                   ) END AS expired
            FROM credits.purchases p JOIN credits.returns r USING (stripe_payment_intent_id)
            WHERE p.user_id = a.user_id
            GROUP BY p.id
        ) went CROSS JOIN LATERAL (
            -- Whole ten-thousandths: `/` would round the quotient of very large numbers.
            SELECT div(credits * least(cents, price) * 10000, price) / 10000 AS share
        ) s
        -- What had expired before the money went back was not taken again.
        WHERE taken > share OR taken + expired < share
    """,
    # `money_back._status` as a query: what users and revenue reports see of refunds and disputes.
    "the status of a paid purchase matches its refunds and disputes": """
        SELECT p.* FROM accounts a CROSS JOIN LATERAL (
            SELECT p.user_id, format('purchase %%s is %%s, its refunds and disputes make it %%s',
                                     p.id, p.status, s.status)
            FROM credits.purchases p
            CROSS JOIN LATERAL (
                SELECT coalesce(bool_or(kind = 'dispute' AND state IN ('open', 'gone')), false)
                           AS disputed,
                       coalesce(sum(amount_cents) FILTER (
                           WHERE kind = 'refund' AND state = 'gone'), 0) AS cents
                FROM credits.returns
                WHERE stripe_payment_intent_id = p.stripe_payment_intent_id OFFSET 0
            ) r
            CROSS JOIN LATERAL (
                SELECT CASE WHEN r.disputed THEN 'disputed'
                            WHEN r.cents >= p.price_euro_cents THEN 'refunded'
                            WHEN r.cents > 0 THEN 'partially_refunded'
                            ELSE 'completed' END AS status
            ) s
            WHERE p.user_id = a.user_id AND p.transaction_id IS NOT NULL AND p.status <> s.status
            OFFSET 0
        ) p
    """,
    # In hours, because a day of the session's time zone may have 23 or 25. An erasure deletes lots.
    "purchased credits expire as agreed": """
        SELECT p.* FROM accounts a CROSS JOIN LATERAL (
            SELECT p.user_id, format('credits of purchase %%s, paid at %%s and valid for %%s days,'
                                     ' expire at %%s', p.id, p.completed_at,
                                     coalesce(p.expires_after_days::text, 'unlimited'),
                                     coalesce(l.expires_at::text, 'no time'))
            FROM credits.purchases p LEFT JOIN LATERAL (
                SELECT expires_at FROM credits.credit_lots
                WHERE user_id = p.user_id AND transaction_id = p.transaction_id OFFSET 0
            ) l ON true
            WHERE p.user_id = a.user_id AND p.transaction_id IS NOT NULL
              AND p.user_id NOT LIKE 'erased:%%'
              AND l.expires_at IS DISTINCT FROM
                  p.completed_at + make_interval(hours => 24 * p.expires_after_days)
            OFFSET 0
        ) p
    """,
}
