-- Import one batch of gifts (positions %(first)s to %(last)s) in one transaction. The entries that
-- paid for them and ended them are already posted. If a gift of an earlier run has ended here
-- since, it is not changed.

SELECT FROM gifts.gift_codes c JOIN legacy_gifts g USING (id)
WHERE g.position BETWEEN %(first)s AND %(last)s AND c.status = 'active'
ORDER BY c.id FOR UPDATE OF c;

INSERT INTO gifts.gift_codes (
    id, code, creator_id, creator_name, total_credits, type, status, target_email, message,
    expires_at, payment_id, created_at, updated_at)
SELECT id, code, creator_id,
       CASE WHEN creator_name !~ '[@\uff20]' THEN nullif(btrim(left(btrim(regexp_replace(
           creator_name, '[\u0001-\u001f\u007f-\u009f]+', ' ', 'g')), 100)), '') END,
       total_credits, CASE WHEN address IS NULL THEN 'simple' ELSE 'personalized' END, status,
       address, nullif(left(message, 500), ''), expires_at, payment_id, created_at, updated_at
FROM legacy_gifts WHERE position BETWEEN %(first)s AND %(last)s ORDER BY position
ON CONFLICT (id) DO NOTHING;

-- The join with the cause makes sure that the gift ended in the source: if it ended here, the
-- source's entry was imported without a cause.
UPDATE gifts.gift_codes c SET status = g.status, updated_at = g.updated_at
FROM legacy_gifts g JOIN credits.transactions t ON t.id = g.end_id AND t.cause = 'gift:' || g.id
WHERE g.position BETWEEN %(first)s AND %(last)s AND c.id = g.id AND c.status = 'active';

INSERT INTO gifts.gift_redemptions (
    id, gift_code_id, redeemer_id, transaction_id, source_app_id, created_at)
SELECT g.redemption_id, g.id, g.redeemer_id, g.end_id, left(g.source_app_id, 100), g.redeemed_at
FROM legacy_gifts g JOIN gifts.gift_codes c USING (id)
JOIN credits.transactions t ON t.id = g.end_id AND t.cause = 'gift:' || g.id
WHERE g.position BETWEEN %(first)s AND %(last)s AND g.redemption_id IS NOT NULL
  AND c.status = 'depleted'
ORDER BY g.redeemed_at, g.id
ON CONFLICT DO NOTHING;
