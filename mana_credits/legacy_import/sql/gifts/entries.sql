-- Find the entries that paid for each gift and that ended it, and create missing ones. Runs before
-- the entries are posted.

DELETE FROM legacy_gift_codes WHERE creator_id IN (SELECT user_id FROM legacy_erased);
DELETE FROM legacy_gift_codes WHERE id IN (
    SELECT gift_code_id FROM legacy_gift_redemptions
    WHERE status = 'success' AND redeemer_user_id IN (SELECT user_id FROM legacy_erased));

WITH gone AS (
    DELETE FROM legacy_gift_codes
    WHERE NOT pg_temp.is_user(creator_id) OR total_credits NOT BETWEEN 1 AND 10000
       OR code !~ '^[ABCDEFGHJKLMNPQRSTUVWXYZ23456789]{6}$' RETURNING *
)
INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'not imported', left(creator_id, 255), id,
       format('gift %s of %s credits, %s, breaks the rules of gifts', id, total_credits, status)
FROM gone;


-- The first successful redemption counts. Each later one is reported.
CREATE TEMP TABLE legacy_redeemed AS
SELECT *, row_number() OVER (PARTITION BY gift_code_id ORDER BY created_at, id) AS place
FROM legacy_gift_redemptions
WHERE status = 'success' AND pg_temp.is_user(redeemer_user_id)
  AND gift_code_id IN (SELECT id FROM legacy_gift_codes);

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'double credit', redeemer_user_id, id,
       format('%s credits of gift %s were redeemed again', credits_received, gift_code_id)
FROM legacy_redeemed WHERE place > 1;


-- The gifts' states here. Expired gifts stay active, because their credits were never returned. The
-- job that expires gifts returns them.
CREATE TEMP TABLE legacy_gifts AS
SELECT g.id, g.code, g.creator_id, g.total_credits, g.message, g.created_at, g.updated_at,
       g.creator_name, nullif(btrim(g.target_email), '') AS target_email, g.type AS type_there,
       row_number() OVER (ORDER BY g.created_at, g.id) AS position,
       CASE WHEN r.id IS NOT NULL THEN 'depleted' WHEN g.status = 'depleted' THEN 'refunded'
            WHEN g.status = 'expired' THEN 'active' ELSE g.status END AS status,
       g.status AS status_there,
       greatest(
           g.created_at + interval '1 millisecond',
           CASE WHEN g.status = 'expired' THEN least(g.expires_at, g.updated_at)
                ELSE coalesce(g.expires_at, now() + interval '365 days') END
       ) AS expires_at,
       r.id AS redemption_id, r.redeemer_user_id AS redeemer_id, r.source_app_id,
       r.created_at AS redeemed_at, p.id AS payment_there, a.id AS arrival_there
FROM legacy_gift_codes g
LEFT JOIN legacy_redeemed r ON r.gift_code_id = g.id AND r.place = 1
LEFT JOIN (
    -- One entry pays for one gift. If several gifts name it, the first one has it, and the others
    -- get an entry of their own.
    SELECT id, reservation_transaction_id,
           row_number() OVER (PARTITION BY reservation_transaction_id ORDER BY created_at, id)
           AS place
    FROM legacy_gift_codes
) paying ON paying.id = g.id AND paying.place = 1
LEFT JOIN legacy_entries p ON p.id = paying.reservation_transaction_id
    AND p.user_id = g.creator_id AND p.amount = -g.total_credits
LEFT JOIN (
    SELECT id, credit_transaction_id,
           row_number() OVER (PARTITION BY credit_transaction_id ORDER BY place, created_at, id)
           AS turn
    FROM legacy_redeemed
) arriving ON arriving.id = r.id AND arriving.turn = 1
LEFT JOIN legacy_entries a ON a.id = arriving.credit_transaction_id
    AND a.user_id = r.redeemer_user_id AND a.amount = g.total_credits;

CREATE UNIQUE INDEX ON legacy_gifts (position);

-- A cancellation wrote a refund that does not name the gift. It is matched by position among the
-- creator's refunds of the same amount.
ALTER TABLE legacy_gifts ADD return_there uuid, ADD payment_id uuid, ADD end_id uuid;
WITH refunds AS (
    SELECT id, user_id, amount,
           row_number() OVER (PARTITION BY user_id, amount ORDER BY created_at, id) AS place
    FROM legacy_entries WHERE type = 'refund' AND app_id = 'gifts'
), ended AS (
    SELECT id, creator_id, total_credits,
           row_number() OVER (PARTITION BY creator_id, total_credits ORDER BY updated_at, id)
           AS place
    FROM legacy_gifts WHERE status_there IN ('cancelled', 'refunded') AND redemption_id IS NULL
)
UPDATE legacy_gifts g SET return_there = r.id
FROM ended e JOIN refunds r
    ON r.user_id = e.creator_id AND r.amount = e.total_credits AND r.place = e.place
WHERE e.id = g.id;

UPDATE legacy_gifts SET
    payment_id = coalesce(payment_there, md5('gift-created:' || id)::uuid),
    end_id = CASE WHEN status = 'active' THEN NULL
                  ELSE coalesce(arrival_there, return_there, md5('gift:' || id)::uuid) END;
ANALYZE legacy_gifts;


UPDATE legacy_entries e SET cause = 'gift-created:' || g.id, type = 'gift'
FROM legacy_gifts g WHERE e.id = g.payment_there;

UPDATE legacy_entries e SET
    cause = 'gift:' || g.id,
    related_id = CASE WHEN g.redemption_id IS NULL THEN g.payment_id END
FROM legacy_gifts g WHERE e.id = g.end_id;

INSERT INTO legacy_entries
SELECT payment_id, creator_id, 'gift', -total_credits, 'gifts', 'Gift created',
       jsonb_build_object('giftCodeId', id), NULL::text, 'gift-created:' || id, NULL::uuid, created_at, true,
       false
FROM legacy_gifts WHERE payment_there IS NULL
UNION ALL
SELECT end_id, redeemer_id, 'gift', total_credits, 'gifts', 'Gift redeemed',
       jsonb_build_object('giftCodeId', id), NULL::text, 'gift:' || id, NULL::uuid, redeemed_at, true, false
FROM legacy_gifts WHERE redemption_id IS NOT NULL AND arrival_there IS NULL
UNION ALL
SELECT end_id, creator_id, 'gift', total_credits, 'gifts', 'Gift ' || status,
       jsonb_build_object('giftCodeId', id), NULL, 'gift:' || id, payment_id, updated_at, true,
       false
FROM legacy_gifts WHERE status <> 'active' AND redemption_id IS NULL AND return_there IS NULL;


INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'gift', creator_id, id, format('gift %s of %s credits was paid by no transaction',
                                      id, total_credits)
FROM legacy_gifts WHERE payment_there IS NULL
UNION ALL
SELECT 'gift', redeemer_id, id, format('gift %s of %s credits arrived by no transaction',
                                       id, total_credits)
FROM legacy_gifts WHERE redemption_id IS NOT NULL AND arrival_there IS NULL
UNION ALL
SELECT 'gift', creator_id, id, format('gift %s of %s credits is %s, nobody got them', id,
                                      total_credits, status_there)
FROM legacy_gifts WHERE status <> 'active' AND redemption_id IS NULL AND return_there IS NULL
UNION ALL
SELECT 'expired gift', creator_id, id,
       format('gift %s of %s credits expired on %s and is %s; expire_gifts gives them back', id,
              total_credits, (expires_at AT TIME ZONE 'UTC')::date, status_there)
FROM legacy_gifts WHERE status = 'active' AND expires_at <= now();


-- An address that is too long, or has characters that only look like ASCII, matches no user. The
-- gift stays personalised: without an address, anybody with the code could redeem it. The domain
-- `.invalid` is reserved for addresses that nobody can have.
ALTER TABLE legacy_gifts ADD address text;
UPDATE legacy_gifts SET address = CASE
    WHEN target_email ~ '[\u037e\u1fef\u212a]' OR char_length(target_email) > 320
    THEN id || '@nobody.invalid'
    ELSE lower(normalize(target_email, NFC)) END;

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'gift type', creator_id, id,
       format('gift %s of %s credits, %s, is %s %s', id, total_credits, status_there, type_there,
              CASE WHEN address IS NULL
                   THEN 'without an address; it is simple here'
                   WHEN address LIKE '%@nobody.invalid'
                   THEN 'for an address that nobody can have; its creator can cancel it'
                   ELSE 'with an address; it is personalised here' END)
FROM legacy_gifts
WHERE (address IS NULL) <> (type_there = 'simple') OR address LIKE '%@nobody.invalid';
