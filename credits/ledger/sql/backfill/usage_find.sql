-- Find the days of %(users)s whose statistics differ from the usages, from %(first)s to %(last)s
-- (UTC; null: no limit).
SELECT user_id, format('%%s in %%s: %%s counted, usages: %%s; %%s in the ledger, usages: %%s',
                       date, app_id, coalesce(s.credits_used, 0), coalesce(s.transactions, 0),
                       coalesce(t.used, 0), coalesce(t.count, 0))
FROM (
    SELECT * FROM credits.usage_stats
    WHERE user_id = ANY(%(users)s)
      AND date BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity')
) s FULL JOIN (
    SELECT user_id, (created_at AT TIME ZONE 'UTC')::date AS date, app_id,
           -sum(amount) AS used, count(*) AS count
    FROM credits.transactions
    WHERE type = 'usage' AND user_id = ANY(%(users)s)
      AND (created_at AT TIME ZONE 'UTC')::date
          BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity')
    GROUP BY 1, 2, 3
) t USING (user_id, date, app_id)
WHERE (s.credits_used, s.transactions) IS DISTINCT FROM (t.used, t.count)
ORDER BY user_id, date, app_id;
