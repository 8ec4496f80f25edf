-- Import the other rows of one batch of users, in the transaction that posted their entries.

-- Reservations that are open in the source are open here too, until %(expires_at)s.
WITH made AS (
    INSERT INTO credits.reservations (
        id, user_id, amount, app_id, reason, actor, created_at, expires_at, has_lots)
    SELECT r.id, r.user_id, r.amount, left(split_part(r.reason, ':', 1), 100), left(r.reason, 200),
           'service:legacy', least(r.created_at, %(now)s), %(expires_at)s,
           CASE WHEN b.next_expiry IS NOT NULL THEN true END
    FROM legacy_users u JOIN legacy_reservations r USING (user_id)
    JOIN credits.balances b USING (user_id)
    WHERE u.position BETWEEN %(first)s AND %(last)s AND r.status = 'reserved'
    ON CONFLICT DO NOTHING RETURNING user_id, amount
)
UPDATE credits.balances b SET held = b.held + m.amount, version = b.version + 1
FROM (SELECT user_id, sum(amount) AS amount FROM made GROUP BY user_id) m
WHERE b.user_id = m.user_id;

-- Settle the reservations of an earlier run that were settled in the source since. A committed one
-- whose usage cannot be found is released, as only the usage moved credits.
WITH settled AS (
    UPDATE credits.reservations r SET
        status = CASE WHEN t.id IS NULL THEN 'released' ELSE 'committed' END,
        committed_amount = -t.amount, transaction_id = t.id,
        settled_at = coalesce(l.resolved_at, %(now)s)
    FROM legacy_users u JOIN legacy_reservations l USING (user_id)
    LEFT JOIN LATERAL (
        SELECT n.id, n.amount FROM legacy_new n
        WHERE n.user_id = l.user_id AND n.type = 'usage' AND n.amount = -l.amount
          AND n.metadata ->> 'reservationId' = l.id::text
        ORDER BY n.created_at, n.id LIMIT 1
    ) t ON l.status = 'committed'
    WHERE u.position BETWEEN %(first)s AND %(last)s
      AND r.id = l.id AND r.status = 'open' AND l.status <> 'reserved'
    RETURNING r.user_id, r.amount
)
UPDATE credits.balances b SET held = b.held - s.amount, version = b.version + 1
FROM (SELECT user_id, sum(amount) AS amount FROM settled GROUP BY user_id) s
WHERE b.user_id = s.user_id;

-- A purchase is completed if an entry credited it. A completed one without an entry is quarantined.
INSERT INTO credits.purchases (
    id, user_id, package_id, credits, price_euro_cents, status, stripe_customer_id,
    stripe_payment_intent_id, metadata, transaction_id, created_at, completed_at, quarantined_at,
    quarantine_reason, quarantined_intent)
SELECT p.id, p.user_id, p.package_id, p.credits, p.price_euro_cents,
       CASE WHEN paid.id IS NOT NULL THEN 'completed'
            WHEN p.status = 'completed' THEN 'pending' ELSE p.status END,
       left(p.stripe_customer_id, 255),
       -- The constraint purchase_paid_names_its_transaction requires a payment.
       CASE WHEN paid.id IS NOT NULL
            THEN coalesce(nullif(p.stripe_payment_intent_id, ''), 'imported:' || p.id)
            ELSE nullif(p.stripe_payment_intent_id, '') END,
       p.metadata, paid.entry_id, p.created_at, paid.completed_at,
       CASE WHEN paid.id IS NULL AND p.status = 'completed' THEN %(now)s::timestamptz END,
       CASE WHEN paid.id IS NULL AND p.status = 'completed'
            THEN 'Completed in the earlier service, whose ledger never credited it.' END,
       CASE WHEN paid.id IS NULL AND p.status = 'completed'
            THEN nullif(p.stripe_payment_intent_id, '') END
FROM legacy_users u JOIN legacy_purchases p USING (user_id) LEFT JOIN legacy_paid paid USING (id)
WHERE u.position BETWEEN %(first)s AND %(last)s
ORDER BY p.created_at, p.id
ON CONFLICT (id) DO NOTHING;

-- Update purchases of an earlier run that were completed or cancelled in the source since.
UPDATE credits.purchases p SET
    status = 'completed', credits = l.credits, transaction_id = paid.entry_id,
    completed_at = paid.completed_at,
    stripe_payment_intent_id = coalesce(p.stripe_payment_intent_id,
                                        nullif(l.stripe_payment_intent_id, ''),
                                        'imported:' || l.id)
FROM legacy_users u JOIN legacy_purchases l USING (user_id) JOIN legacy_paid paid USING (id)
WHERE u.position BETWEEN %(first)s AND %(last)s AND p.id = l.id AND p.transaction_id IS NULL
  AND EXISTS (SELECT FROM legacy_new n WHERE n.id = paid.entry_id AND n.cause IS NOT NULL);

UPDATE credits.purchases p SET
    status = l.status,
    stripe_payment_intent_id = coalesce(p.stripe_payment_intent_id,
                                        nullif(l.stripe_payment_intent_id, ''))
FROM legacy_users u JOIN legacy_purchases l USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s AND p.id = l.id AND p.status = 'pending'
  AND l.status IN ('failed', 'cancelled');


-- As in sql/gifts/entries.sql, an address with characters that only look like ASCII is not
-- imported: it would match no user, or become another person's address by normalization.
INSERT INTO credits.stripe_customers (id, user_id, stripe_customer_id, email, created_at)
SELECT gen_random_uuid(), c.user_id, c.stripe_customer_id,
       CASE WHEN c.email !~ '[\u037e\u1fef\u212a]' AND char_length(c.email) <= 320
            THEN nullif(lower(normalize(btrim(c.email), NFC)), '') END,
       c.created_at
FROM legacy_users u JOIN legacy_stripe_customers c USING (user_id)
WHERE u.position BETWEEN %(first)s AND %(last)s
ON CONFLICT DO NOTHING;


-- Subscriptions: the paid period ends at the next charge, or is the last paid one. A gifted
-- subscription does not show whether the user wants to renew it, so it is never renewed.
WITH periods AS (
    SELECT s.*, coalesce(s.next_charge_at, p.paid_until) AS paid_until, p.paid_from AS paid_on
    FROM legacy_users u JOIN legacy_sync_subscriptions s USING (user_id)
    LEFT JOIN legacy_sync_payments p USING (user_id)
    WHERE u.position BETWEEN %(first)s AND %(last)s
), whole AS (
    SELECT *,
           CASE WHEN paid_on < paid_until THEN paid_on
                ELSE paid_until - pg_temp.interval_of(billing_interval) END AS paid_from,
           active AND NOT is_gifted AND next_charge_at IS NOT NULL AS renews
    FROM periods
), days AS (
    SELECT *, extract(day FROM paid_until AT TIME ZONE 'UTC')::smallint AS until_day,
           extract(day FROM paid_from AT TIME ZONE 'UTC')::smallint AS from_day,
           extract(day FROM (paid_until AT TIME ZONE 'UTC') + interval '1 day') = 1 AS month_ends
    FROM whole
)
INSERT INTO credits.sync_subscriptions (
    user_id, interval, renews, anchor_day, paid_from, paid_until, paused_at, gifted_at, gifted_by,
    created_at, updated_at)
SELECT user_id, billing_interval, renews,
       CASE WHEN month_ends THEN greatest(from_day, until_day) ELSE until_day END,
       paid_from, paid_until,
       CASE WHEN NOT is_gifted AND NOT renews THEN paused_at END,
       CASE WHEN is_gifted THEN coalesce(gifted_at, activated_at, updated_at) END,
       CASE WHEN is_gifted THEN left(coalesce(nullif(gifted_by, ''), 'unknown'), 264) END,
       created_at, updated_at
FROM days
ON CONFLICT (user_id) DO UPDATE SET
    (interval, renews, anchor_day, paid_from, paid_until, paused_at, gifted_at, gifted_by,
     updated_at) =
    ROW (excluded.interval, excluded.renews, excluded.anchor_day, excluded.paid_from,
         excluded.paid_until, excluded.paused_at, excluded.gifted_at, excluded.gifted_by,
         excluded.updated_at)
    WHERE credits.sync_subscriptions.updated_at < excluded.updated_at
      AND credits.sync_subscriptions.charge_id IS NULL;
