-- Post the new entries of one batch of users (positions %(first)s to %(last)s) in one transaction.
-- This script writes the ledger beside credits.post_transaction, by the same rules; see
-- docs/decisions/0050-importing-history.md. Entries of earlier runs are recognised by their ids.

-- Lock order: own rows first, balances last, in user-id order.
SELECT FROM credits.reservations r JOIN legacy_users u USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s AND r.status = 'open'
ORDER BY r.id FOR UPDATE OF r;

SELECT FROM credits.purchases p JOIN legacy_users u USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s AND p.transaction_id IS NULL
ORDER BY p.id FOR UPDATE OF p;

INSERT INTO credits.balances (user_id, created_at, updated_at)
SELECT user_id, created_at, updated_at FROM legacy_users
WHERE position BETWEEN %(first)s AND %(last)s AND has_balance ORDER BY position
ON CONFLICT DO NOTHING;

SELECT FROM credits.balances b JOIN legacy_users u USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s ORDER BY u.position FOR UPDATE OF b;

-- Expired credits are not available to the new entries.
SELECT credits.expire_lots(b.user_id, %(now)s)
FROM credits.balances b JOIN legacy_users u USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s AND b.next_expiry <= clock_timestamp()
ORDER BY u.position;


-- The new entries. The table is created once per session and emptied for each batch.
TRUNCATE legacy_new;
INSERT INTO legacy_new
SELECT e.* FROM legacy_users u JOIN legacy_entries e USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s AND NOT e.here;

-- The opening adjustment makes all imported entries add up to the source's balance plus held
-- credits. Its id is derived from the user and the number of their last transaction: a run after
-- further movements makes a new one, and refused.sql recognises that of an erased user.
INSERT INTO legacy_new
SELECT pg_temp.opening_id(u.user_id, b.last_number), u.user_id, 'adjustment',
       u.balance + u.open - coalesce(here.total, 0) - coalesce(new.total, 0),
       'system', 'Opening adjustment', jsonb_build_object(
           'reason', 'The transactions of the earlier service did not add up to its balance.',
           'balance', u.balance, 'transactions', u.rows, 'openReservations', u.open),
       NULL, NULL, NULL, %(now)s, true, false, true
FROM legacy_users u JOIN credits.balances b USING (user_id)
LEFT JOIN LATERAL (
    SELECT sum(amount) AS total FROM credits.transactions t
    -- Movements that were made here since an earlier run do not belong to the source's balance.
    WHERE t.user_id = u.user_id AND t.actor = 'service:legacy'
) here ON b.last_number > 0
LEFT JOIN (
    SELECT user_id, sum(amount) AS total FROM legacy_new GROUP BY user_id
) new USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s
  AND u.balance + u.open <> coalesce(here.total, 0) + coalesce(new.total, 0);


-- Number the entries and join them to the chain. `raw` is the total spent without its minimum of
-- zero. Refunds beyond the total spent count as earned.
WITH running AS (
    SELECT n.*, b.posted, b.total_spent,
           b.last_number + row_number() OVER w AS number,
           b.posted + sum(n.amount) OVER w AS balance_after,
           b.total_spent + sum(CASE
               WHEN NOT opening AND (n.amount < 0 OR type = 'refund' OR related_id IS NOT NULL)
               THEN -n.amount ELSE 0 END) OVER w AS raw
    FROM legacy_new n JOIN credits.balances b USING (user_id)
    WINDOW w AS (PARTITION BY user_id ORDER BY opening, n.created_at, n.id)
), bounded AS (
    SELECT *, raw - least(0, min(raw) OVER w) AS spent
    FROM running
    WINDOW w AS (PARTITION BY user_id ORDER BY number)
), changed AS (
    SELECT *, CASE
        WHEN opening THEN greatest(-amount - (balance_after - amount + spent), 0)
        -- `spent` already has the minimum of zero, so the change is what the totals really moved.
        ELSE spent - lag(spent, 1, total_spent) OVER w END AS spent_change
    FROM bounded
    WINDOW w AS (PARTITION BY user_id ORDER BY number)
)
INSERT INTO credits.transactions (
    id, user_id, number, type, amount, balance_before, balance_after, spent_change, app_id,
    description, metadata, actor, idempotency_key, cause, related_id, created_at)
SELECT id, user_id, number, type, amount, balance_after - amount, balance_after, spent_change,
       app_id, description, metadata, 'service:legacy', key, cause, related_id, created_at
FROM changed ORDER BY user_id, number;

UPDATE credits.balances b SET
    posted = b.posted + n.amount,
    total_spent = b.total_spent + n.spent,
    total_earned = b.total_earned + n.amount + n.spent,
    last_number = b.last_number + n.entries,
    last_digest = n.last_digest,
    version = b.version + n.entries,
    updated_at = greatest(b.updated_at, n.newest)
FROM (
    SELECT t.user_id, sum(t.amount) AS amount, sum(t.spent_change) AS spent, count(*) AS entries,
           max(t.created_at) AS newest,
           -- The trigger transactions_are_chained computed the digests when the rows were inserted.
           (array_agg(t.digest ORDER BY t.number DESC))[1] AS last_digest
    FROM legacy_new n JOIN credits.transactions t USING (id) GROUP BY t.user_id
) n
WHERE b.user_id = n.user_id;

INSERT INTO credits.usage_stats (user_id, date, app_id, credits_used, transactions)
SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, app_id, -sum(amount), count(*)
FROM legacy_new WHERE type = 'usage' GROUP BY 1, 2, 3
ON CONFLICT (user_id, date, app_id) DO UPDATE SET
    credits_used = credits.usage_stats.credits_used + excluded.credits_used,
    transactions = credits.usage_stats.transactions + excluded.transactions;

-- The fingerprint that `ledger.spend` would record for another service's request.
INSERT INTO credits.idempotency_keys (user_id, key, fingerprint, subject_id, created_at)
SELECT user_id, key,
       concat('["service", "usage", "', trim_scale(amount), '", ', to_json(app_id), ', null, null]'),
       id, created_at
FROM legacy_new WHERE key IS NOT NULL
ON CONFLICT DO NOTHING;
