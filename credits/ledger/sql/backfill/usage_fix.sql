-- Recount the days from the usages.
DELETE FROM credits.usage_stats
WHERE user_id = ANY(%(users)s)
  AND date BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity');

INSERT INTO credits.usage_stats (user_id, date, app_id, credits_used, transactions)
SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, app_id, -sum(amount), count(*)
FROM credits.transactions
WHERE type = 'usage' AND user_id = ANY(%(users)s)
  AND (created_at AT TIME ZONE 'UTC')::date
      BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity')
GROUP BY 1, 2, 3;
