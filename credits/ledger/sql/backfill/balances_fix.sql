-- Rebuild the balances from their transactions and open reservations.
UPDATE credits.balances b SET
    posted = coalesce(t.posted, 0), held = coalesce(r.held, 0),
    total_earned = coalesce(t.earned, 0), total_spent = coalesce(t.spent, 0),
    last_number = coalesce(t.last_number, 0), last_digest = t.last_digest, version = b.version + 1, updated_at = now()
FROM unnest(%(users)s::text[]) u (user_id)
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
WHERE b.user_id = u.user_id
  AND (b.posted, b.held, b.total_earned, b.total_spent, b.last_number, b.last_digest)
      IS DISTINCT FROM
      (coalesce(t.posted, 0), coalesce(r.held, 0), coalesce(t.earned, 0), coalesce(t.spent, 0),
       coalesce(t.last_number, 0), t.last_digest);
