-- Delete rows from the copies that violate the target's rules, and report them. No credits are
-- lost: the part of a balance that no row explains becomes the opening adjustment.

CREATE TEMP TABLE legacy_findings (
    kind text NOT NULL,
    user_id text,
    row_id text,
    sentence text NOT NULL,
    balance numeric,
    rows numeric,
    open numeric,
    difference numeric,
    surplus numeric,
    credits numeric
);

CREATE OR REPLACE FUNCTION pg_temp.is_user(id text) RETURNS boolean
LANGUAGE sql IMMUTABLE RETURN char_length(id) BETWEEN 1 AND 255;


-- A row that exists here under another user id belongs to a person who was erased since. Keep the
-- erasure.
CREATE TEMP TABLE legacy_erased AS
SELECT l.user_id FROM legacy_transactions l JOIN credits.transactions t USING (id)
WHERE t.user_id <> l.user_id
UNION
SELECT l.user_id FROM legacy_reservations l JOIN credits.reservations r USING (id)
WHERE r.user_id <> l.user_id
UNION
SELECT l.user_id FROM legacy_purchases l JOIN credits.purchases p USING (id)
WHERE p.user_id <> l.user_id
UNION
-- Of a balance without transactions, the opening adjustment was imported (post.sql).
SELECT l.user_id FROM legacy_balances l
JOIN credits.transactions t ON t.id = pg_temp.opening_id(l.user_id, 0)
WHERE t.user_id <> l.user_id;

INSERT INTO legacy_findings (kind, user_id, sentence)
SELECT 'erased', user_id, 'was erased here and stays so' FROM legacy_erased;

DELETE FROM legacy_balances WHERE user_id IN (SELECT user_id FROM legacy_erased);
DELETE FROM legacy_transactions WHERE user_id IN (SELECT user_id FROM legacy_erased);
DELETE FROM legacy_reservations WHERE user_id IN (SELECT user_id FROM legacy_erased);
DELETE FROM legacy_purchases WHERE user_id IN (SELECT user_id FROM legacy_erased);
DELETE FROM legacy_stripe_customers WHERE user_id IN (SELECT user_id FROM legacy_erased);
DELETE FROM legacy_sync_subscriptions WHERE user_id IN (SELECT user_id FROM legacy_erased);


-- The earlier service also kept balances for tokens without a user id or with an invalid one.
WITH gone AS (
    DELETE FROM legacy_balances WHERE NOT pg_temp.is_user(user_id) RETURNING *
)
INSERT INTO legacy_findings (kind, user_id, sentence, balance)
SELECT 'not imported', left(user_id, 255),
       format('an id of %s characters belongs to nobody; the balance was %s',
              char_length(user_id), balance),
       balance
FROM gone;

DELETE FROM legacy_transactions WHERE NOT pg_temp.is_user(user_id);
DELETE FROM legacy_purchases WHERE NOT pg_temp.is_user(user_id);
DELETE FROM legacy_stripe_customers
    WHERE NOT pg_temp.is_user(user_id) OR char_length(stripe_customer_id) NOT BETWEEN 1 AND 255;
DELETE FROM legacy_sync_subscriptions WHERE NOT pg_temp.is_user(user_id);
DELETE FROM legacy_reservations WHERE NOT pg_temp.is_user(user_id);

WITH gone AS (
    DELETE FROM legacy_reservations WHERE amount <= 0 RETURNING *
)
INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'not imported', user_id, id, format('reservation %s holds %s', id, amount)
FROM gone WHERE status = 'reserved';

WITH gone AS (
    DELETE FROM legacy_packages
    WHERE name = '' OR credits <= 0 OR price_euro_cents <= 0 RETURNING *
)
INSERT INTO legacy_findings (kind, row_id, sentence)
SELECT 'not imported', id,
       format('package %s (%s) is %s credits for %s cents', id, name, credits, price_euro_cents)
FROM gone;

WITH gone AS (
    DELETE FROM legacy_purchases p
    WHERE credits <= 0 OR price_euro_cents <= 0 OR NOT EXISTS (
        SELECT FROM legacy_packages WHERE id = p.package_id
        UNION ALL SELECT FROM credits.packages WHERE id = p.package_id
    ) RETURNING *
)
INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'not imported', user_id, id,
       format('purchase %s of %s credits for %s cents has no package here',
              id, credits, price_euro_cents)
FROM gone;


-- Faults that the import corrects by itself.
INSERT INTO legacy_findings (kind, sentence)
SELECT 'usage dates', format('%s of %s rows of usage are dated in local time; the days here are '
                             'UTC, counted from the transactions', local, rows)
FROM legacy_usage_stats WHERE local > 0;

INSERT INTO legacy_findings (kind, user_id, sentence)
SELECT 'chain', user_id, format('%s of %s rows do not join', count(*) FILTER (WHERE broken), count(*))
FROM (
    SELECT user_id, balance_before <> lag(balance_after, 1, 0)
               OVER (PARTITION BY user_id ORDER BY created_at, id) AS broken
    FROM legacy_transactions WHERE status = 'completed'
) chain
GROUP BY user_id HAVING bool_or(broken);
