-- Cloud Sync: past charges, the paid period and the next charge. Runs after `users.sql`.

-- A renewal within half a period after a charge is a doubled charge: the earlier service charged at
-- the end of a period, and concurrent renewals charged several times. An activation within a paid
-- period is a doubled charge too. A day is allowed for clocks and time zones.
CREATE TEMP TABLE legacy_sync_charges AS
WITH charges AS (
    SELECT e.id, e.user_id, -e.amount AS amount, e.created_at,
           e.metadata ->> 'type' = 'sync_subscription' AS activation,
           pg_temp.interval_of(coalesce(e.metadata ->> 'interval', s.billing_interval)) AS lasts
    FROM legacy_entries e LEFT JOIN legacy_sync_subscriptions s USING (user_id)
    WHERE e.type = 'usage' AND e.app_id = 'sync'
      AND e.metadata ->> 'type' IN ('sync_subscription', 'sync_renewal')
), following AS (
    SELECT *, created_at < CASE
               WHEN activation THEN max(created_at + lasts) OVER earlier - interval '1 day'
               ELSE lag(created_at + lasts / 2) OVER earlier END AS doubles
    FROM charges
    WINDOW earlier AS (PARTITION BY user_id ORDER BY created_at, id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT id, user_id, amount, created_at, lasts, coalesce(doubles, false) AS doubles,
       count(*) FILTER (WHERE doubles IS NOT TRUE)
           OVER (PARTITION BY user_id ORDER BY created_at, id) AS period
FROM following;

INSERT INTO legacy_findings (kind, user_id, row_id, sentence, surplus, credits)
SELECT 'doubled charge', user_id, (array_agg(id ORDER BY created_at, id))[1],
       format('the period of Cloud Sync from %s was charged %s times, %s credits too much',
              (min(created_at) AT TIME ZONE 'UTC')::date, count(*),
              (sum(amount) FILTER (WHERE doubles))::bigint),
       count(*) FILTER (WHERE doubles), trim_scale(sum(amount) FILTER (WHERE doubles))
FROM legacy_sync_charges GROUP BY user_id, period HAVING bool_or(doubles);


-- The last paid period, which the earlier service lost with the next change.
CREATE TEMP TABLE legacy_sync_payments AS
SELECT DISTINCT ON (user_id) user_id, c.amount, c.created_at AS paid_from,
       c.created_at + c.lasts AS paid_until
FROM legacy_sync_charges c JOIN legacy_sync_subscriptions USING (user_id)
ORDER BY user_id, c.created_at DESC, c.id;

INSERT INTO legacy_findings (kind, user_id, sentence)
SELECT 'subscription', user_id, 'Cloud Sync is active and was never going to be charged; it is off here'
FROM legacy_sync_subscriptions
WHERE active AND NOT is_gifted AND next_charge_at IS NULL;


-- The price of the next period, if it differs from the last one.
INSERT INTO legacy_findings (kind, user_id, sentence, credits)
SELECT 'subscription price', s.user_id,
       format('Cloud Sync (%s) cost %s credits, the catalogue says %s; %s', s.billing_interval,
              s.cost, coalesce(trim_scale(here.amount)::text, 'nothing'),
              CASE WHEN here.amount IS NULL THEN 'nothing can be charged'
                   WHEN s.next_charge_at <= now()
                   THEN trim_scale(here.amount) || ' are charged as soon as the worker runs'
                   ELSE format('%s are charged on %s', trim_scale(here.amount),
                               (s.next_charge_at AT TIME ZONE 'UTC')::date) END),
       trim_scale(here.amount)
FROM (
    SELECT l.*, coalesce(l.amount_charged, p.amount)::bigint AS cost
    FROM legacy_sync_subscriptions l LEFT JOIN legacy_sync_payments p USING (user_id)
) s
CROSS JOIN LATERAL credits.price('cloud_sync', CASE s.billing_interval
    WHEN 'yearly' THEN 12 WHEN 'quarterly' THEN 3 ELSE 1 END) here
WHERE s.active AND NOT s.is_gifted AND s.next_charge_at IS NOT NULL AND s.cost IS NOT NULL
  AND s.cost IS DISTINCT FROM here.amount
  AND NOT EXISTS (  -- renewed here since
      SELECT FROM credits.sync_subscriptions c
      WHERE c.user_id = s.user_id AND c.charge_id IS NOT NULL);
