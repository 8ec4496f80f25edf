CREATE OR REPLACE FUNCTION pg_temp.interval_of(billing text) RETURNS interval
LANGUAGE sql IMMUTABLE RETURN CASE billing
    WHEN 'yearly' THEN interval '1 year' WHEN 'quarterly' THEN interval '3 months'
    ELSE interval '1 month' END;

-- The entries to post: the source's movements in the form of the target. `made` marks entries that
-- the source lacks and the target requires. Their ids are derived from their purpose, so that each
-- entry is posted once, also by a later run. `here` marks the entries of earlier runs.

CREATE TEMP TABLE legacy_entries AS
SELECT id, user_id,
       CASE WHEN type = 'gift' OR type = 'usage' AND amount < 0
              OR type IN ('purchase', 'refund', 'grant') AND amount > 0
            THEN type ELSE 'adjustment' END AS type,
       amount::numeric(15, 4) AS amount, left(app_id, 100) AS app_id,
       -- The earlier service wrote the creator's e-mail address into the redeemer's entry.
       left(CASE WHEN app_id = 'gifts'
                 THEN regexp_replace(description, '[^[:space:]]*@[^[:space:]]*', 'somebody', 'g')
                 ELSE description END, 500) AS description,
       metadata,
       -- The earlier service accepted empty keys and keys of any length. They identify no request
       -- here.
       CASE WHEN char_length(idempotency_key) BETWEEN 1 AND 255 THEN idempotency_key END AS key,
       NULL::text AS cause, NULL::uuid AS related_id, created_at, false AS made, false AS here
FROM legacy_transactions
-- Movements that were not completed changed no balance. The ledger here has no movements of 0.
WHERE status = 'completed' AND amount <> 0;

CREATE UNIQUE INDEX ON legacy_entries (id);
CREATE INDEX ON legacy_entries (user_id, created_at, id);
ANALYZE legacy_entries;
ANALYZE legacy_purchases;


-- Match each purchase entry to a purchase: the one that it names, or the one at its position among
-- the user's purchases of the same amount. Older rows name none. If a user has more entries than
-- purchases, the entries beyond the last purchase credited the user's latest purchase again.
CREATE TEMP TABLE legacy_credited AS
WITH entries AS (
    SELECT id, user_id, amount, created_at, metadata ->> 'purchaseId' AS purchase,
           metadata ->> 'paymentIntentId' AS payment
    FROM legacy_entries WHERE type = 'purchase'
), named AS (
    SELECT e.id, p.id AS purchase_id, row_number() OVER (
               PARTITION BY p.id ORDER BY p.credits <> e.amount, e.created_at, e.id) AS place
    FROM entries e JOIN legacy_purchases p ON p.user_id = e.user_id
     AND (e.purchase = p.id::text
          OR e.purchase IS NULL AND e.payment = p.stripe_payment_intent_id)
), nameless AS (
    SELECT id, user_id, amount, row_number() OVER (
               PARTITION BY user_id, amount ORDER BY created_at, id) AS place
    FROM entries WHERE purchase IS NULL AND payment IS NULL
), unnamed AS (
    SELECT id, user_id, credits AS amount, row_number() OVER (
               PARTITION BY user_id, credits
               ORDER BY status, coalesce(completed_at, created_at), id) AS place
    FROM legacy_purchases  -- a later failed attempt may hide that it was paid
    WHERE status IN ('completed', 'failed') AND id NOT IN (SELECT purchase_id FROM named)
)
SELECT id, purchase_id, place FROM named
UNION ALL
SELECT n.id, coalesce(u.id, p.id), CASE WHEN u.id IS NULL THEN 2 ELSE 1 END
FROM nameless n LEFT JOIN unnamed u USING (user_id, amount, place)
LEFT JOIN (
    SELECT DISTINCT ON (user_id, credits) user_id, credits AS amount, id
    FROM legacy_purchases WHERE status = 'completed' ORDER BY user_id, credits, completed_at DESC
) p USING (user_id, amount)
WHERE u.id IS NOT NULL OR p.id IS NOT NULL;

-- A completed purchase without an entry was credited if the balance exceeds the entries by exactly
-- its credits. Several such purchases of a user are judged together, by their sum.
CREATE TEMP TABLE legacy_lost AS
WITH uncredited AS (
    SELECT id, user_id, credits, sum(credits) OVER (PARTITION BY user_id) AS missing,
           coalesce(completed_at, created_at) AS created_at, md5('purchase:' || id)::uuid AS entry_id
    FROM legacy_purchases
    WHERE status = 'completed' AND id NOT IN (SELECT purchase_id FROM legacy_credited)
)
SELECT u.* FROM uncredited u JOIN legacy_balances b USING (user_id)
WHERE b.balance - u.missing = (
    SELECT coalesce(sum(amount), 0) FROM legacy_entries e WHERE e.user_id = u.user_id
) - (
    SELECT coalesce(sum(amount), 0) FROM legacy_reservations r
    WHERE r.user_id = u.user_id AND r.status = 'reserved'
);

INSERT INTO legacy_entries
SELECT entry_id, user_id, 'purchase', credits, 'stripe', 'Purchase',
       jsonb_build_object('purchaseId', id), NULL::text, NULL::text, NULL::uuid, created_at, true,
       false
FROM legacy_lost;

INSERT INTO legacy_credited SELECT entry_id, id, 1 FROM legacy_lost;

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'purchase status', user_id, id,
       format('purchase %s is completed, its transaction is missing and the balance has its %s '
              'credits; the transaction is made here', id, credits)
FROM legacy_lost;


UPDATE legacy_entries e SET cause = 'purchase:' || c.purchase_id
FROM legacy_credited c WHERE c.id = e.id AND c.place = 1;

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'double credit', e.user_id, e.id,
       format('%s credits of purchase %s were credited again', e.amount::bigint, c.purchase_id)
FROM legacy_credited c JOIN legacy_entries e USING (id) WHERE c.place > 1;

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'unexplained credit', user_id, id,
       format('%s credits were credited for no purchase', amount::bigint)
FROM legacy_entries
WHERE type = 'purchase' AND id NOT IN (SELECT id FROM legacy_credited);


-- The credits of a purchase are those that its entry credited: a refund at Stripe takes them back
-- by the purchase's row.
WITH changed AS (
    UPDATE legacy_purchases p SET credits = e.amount
    FROM legacy_credited c JOIN legacy_entries e USING (id), legacy_purchases agreed
    WHERE c.purchase_id = p.id AND c.place = 1 AND e.amount <> p.credits AND agreed.id = p.id
    RETURNING p.user_id, p.id, agreed.credits AS agreed, p.credits
)
INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'purchase status', user_id, id,
       format('purchase %s of %s credits was credited with %s; it is of %s here',
              id, agreed, credits, credits)
FROM changed;

-- A purchase is completed if an entry credited it, whatever status later events set.
CREATE TEMP TABLE legacy_paid AS
SELECT p.id, e.id AS entry_id, p.status,
       coalesce(p.completed_at, e.created_at) AS completed_at
FROM legacy_purchases p JOIN legacy_credited c ON c.purchase_id = p.id AND c.place = 1
JOIN legacy_entries e ON e.id = c.id;
CREATE UNIQUE INDEX ON legacy_paid (id);

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'purchase status', p.user_id, p.id,
       format('purchase %s is %s and was credited; it is completed here', p.id, p.status)
FROM legacy_purchases p JOIN legacy_paid USING (id) WHERE p.status <> 'completed';

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'purchase status', user_id, id,
       format('purchase %s is completed and was never credited; it is in quarantine here', id)
FROM legacy_purchases WHERE status = 'completed' AND id NOT IN (SELECT id FROM legacy_paid);


-- The causes of grants, in the format of `ledger.grant_cause`.
CREATE TEMP TABLE legacy_granted AS
SELECT id, format('grant:%s:%s:%s', char_length(user_id), user_id, metadata ->> 'referenceId')
               AS cause,
       row_number() OVER (
           PARTITION BY user_id, metadata ->> 'referenceId' ORDER BY created_at, id) AS place
FROM legacy_entries WHERE type = 'grant' AND metadata ->> 'referenceId' <> '';

UPDATE legacy_entries e SET cause = g.cause
FROM legacy_granted g WHERE g.id = e.id AND g.place = 1 AND char_length(g.cause) <= 400;

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'double credit', e.user_id, e.id,
       format('%s credits were granted again for %s', e.amount::bigint,
              e.metadata ->> 'referenceId')
FROM legacy_granted g JOIN legacy_entries e USING (id) WHERE g.place > 1;
