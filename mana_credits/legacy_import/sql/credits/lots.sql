-- Move the credits that expire with the new entries of one batch of users, in their transaction. Only
-- a later run finds users with lots: they were granted here since an earlier one.
--
-- Like credits.move_lots: an entry or a hold takes what expires first, and a gift takes it last. A hold
-- of an earlier run that was settled since gives back to its lots what its entry did not spend.

SELECT credits.take_lots(n.user_id, n.id, -n.amount)
FROM legacy_new n JOIN credits.transactions t USING (user_id, id)
JOIN credits.balances b ON b.user_id = n.user_id AND b.next_expiry IS NOT NULL
WHERE n.amount < 0 AND n.type <> 'gift' AND NOT EXISTS (
    SELECT FROM credits.reservations r
    WHERE r.user_id = n.user_id AND r.transaction_id = n.id AND r.has_lots)
ORDER BY n.user_id, t.number;

SELECT credits.take_lots(r.user_id, r.id, r.amount)
FROM legacy_users u JOIN credits.reservations r USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s
  AND r.has_lots AND r.status = 'open' AND r.actor = 'service:legacy'
  AND r.expires_at = %(expires_at)s
  AND NOT EXISTS (SELECT FROM credits.lot_uses l WHERE l.user_id = r.user_id AND l.taker_id = r.id)
ORDER BY r.user_id, r.created_at, r.id;

SELECT credits.take_lots(g.user_id, g.id, least(g.amount, l.surplus - g.earlier))
FROM (
    SELECT user_id, id, -amount AS amount, sum(-amount) OVER w + amount AS earlier
    FROM legacy_new WHERE type = 'gift' AND amount < 0
    WINDOW w AS (PARTITION BY user_id ORDER BY created_at, id)
) g
JOIN credits.balances b ON b.user_id = g.user_id AND b.next_expiry IS NOT NULL
CROSS JOIN LATERAL (
    SELECT sum(l.remaining) - greatest(b.posted - b.held, 0) AS surplus
    FROM credits.credit_lots l WHERE l.user_id = g.user_id AND l.remaining > 0
) l
WHERE l.surplus > g.earlier
ORDER BY g.user_id;

SELECT credits.settle_lots(r.user_id, r.id, r.transaction_id, r.committed_amount, %(now)s)
FROM legacy_users u JOIN credits.reservations r USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s AND r.has_lots AND r.status <> 'open'
  AND EXISTS (SELECT FROM credits.lot_uses l WHERE l.user_id = r.user_id AND l.taker_id = r.id)
ORDER BY r.user_id, r.id;
