-- Find the users of %(users)s whose balance differs from their transactions and open reservations.
SELECT user_id, format(
           'posted %%s, held %%s, earned %%s, spent %%s, last %%s should be %%s, %%s, %%s, %%s, %%s',
           b.posted, b.held, b.total_earned, b.total_spent, b.last_number,
           coalesce(t.posted, 0), coalesce(r.held, 0), coalesce(t.earned, 0),
           coalesce(t.spent, 0), coalesce(t.last_number, 0))
       || CASE WHEN b.last_digest IS DISTINCT FROM t.last_digest
               THEN ', with the digest of that transaction' ELSE '' END
FROM credits.balances b
LEFT JOIN (
    SELECT user_id, sum(amount) AS posted, sum(amount + spent_change) AS earned,
           sum(spent_change) AS spent, max(number) AS last_number,
           (array_agg(digest ORDER BY number DESC))[1] AS last_digest
    FROM credits.transactions WHERE user_id = ANY(%(users)s) GROUP BY user_id
) t USING (user_id)
LEFT JOIN (
    SELECT user_id, sum(amount) AS held
    FROM credits.reservations WHERE status = 'open' AND user_id = ANY(%(users)s) GROUP BY user_id
) r USING (user_id)
WHERE user_id = ANY(%(users)s)
  AND (b.posted, b.held, b.total_earned, b.total_spent, b.last_number, b.last_digest)
      IS DISTINCT FROM
      (coalesce(t.posted, 0), coalesce(r.held, 0), coalesce(t.earned, 0), coalesce(t.spent, 0),
       coalesce(t.last_number, 0), t.last_digest)
ORDER BY user_id;
