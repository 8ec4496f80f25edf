-- Move a gift's credits to a user, once: the transaction, the redemption and the gift's final
-- status, all or none. The gift is found by its code, or by p_gift_id if it is pending for the
-- user's e-mail address.
--
-- A caller with too many invalid codes since p_since is rejected before the gift is looked up.
-- p_limits are the limits of p_buckets (see gifts/throttle.py); throttled_since is the start of the
-- count. The caller of this function counts an invalid code, so that the count is kept if this is
-- rolled back. Others' misses do not stop the user: the limit of the address applies only after 3
-- misses of the user since p_since, that of the short codes only after one within a day.
--
-- outcome: 'posted', 'replayed' (redemption is then the first one) or the code of the error;
-- balance is that of credits.post_transaction. A gift for somebody else has the same outcome as a
-- invalid code. A retry of the request that redeemed the gift skips the checks and becomes a replay.
-- Lock order: the gift's row first, the balance last.
CREATE OR REPLACE FUNCTION gifts.redeem_gift(
    p_code text,
    p_gift_id uuid,
    p_user_id text,
    p_email text,
    p_now timestamptz,
    p_redemption_id uuid,
    p_transaction_id uuid,
    p_source_app_id text,
    p_app_id text,
    p_actor text,
    p_request_id text,
    p_key text,
    p_fingerprint text,
    p_at timestamptz,
    p_buckets text[],
    p_limits integer[],
    p_since timestamptz,
    OUT outcome text,
    OUT gift gifts.gift_codes,
    OUT redemption gifts.gift_redemptions,
    OUT balance credits.balances,
    OUT throttled_since timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    posting record;
    arrival CONSTANT text := 'gift:';
    own gifts.gift_misses;
    checked text[];
BEGIN
    IF cardinality(p_buckets) > 0 THEN
        SELECT * INTO own FROM gifts.gift_misses m
            -- p_since is 10 minutes ago: counts of the last day. One that began over 10 minutes
            -- ahead has the time of a wrong clock.
            WHERE m.bucket = 'user:' || p_user_id AND m.since > p_since - interval '23 h 50 min'
                AND m.since <= p_since + interval '20 minutes';
        SELECT array_agg(b) INTO checked FROM unnest(p_buckets) AS b
            WHERE (b NOT LIKE 'address:%' OR own.since > p_since AND own.misses >= 3)
                AND (b <> 'short codes' OR own.bucket IS NOT NULL);
    END IF;

    SELECT max(m.since) INTO throttled_since
        FROM unnest(p_buckets, p_limits) AS l (bucket, allowed)
        JOIN gifts.gift_misses m ON m.bucket = l.bucket
        WHERE m.since > p_since AND m.since <= p_since + interval '20 minutes'
            AND m.misses >= l.allowed AND l.bucket = ANY (checked);
    IF throttled_since IS NOT NULL THEN
        UPDATE gifts.gift_misses m SET refused = m.refused + 1
            WHERE m.bucket IN (
                SELECT o.bucket FROM gifts.gift_misses o
                JOIN unnest(p_buckets, p_limits) AS l (bucket, allowed) ON o.bucket = l.bucket
                WHERE o.since > p_since AND o.since <= p_since + interval '20 minutes'
                    AND o.misses >= l.allowed AND l.bucket = ANY (checked)
                -- In the order of the buckets, so that concurrent attempts cannot deadlock.
                ORDER BY o.bucket FOR UPDATE OF o);
        outcome := 'too_many_attempts';
        RETURN;
    END IF;

    IF p_gift_id IS NULL THEN
        SELECT * INTO gift FROM gifts.gift_codes g WHERE g.code = p_code FOR UPDATE;
    ELSE
        SELECT * INTO gift FROM gifts.gift_codes g WHERE g.id = p_gift_id FOR UPDATE;
    END IF;
    IF gift.id IS NULL THEN
        outcome := 'gift_not_found';
        RETURN;
    END IF;

    -- A settled gift is checked too, unless this request settled it.
    IF gift.status = 'active' OR p_key IS NULL OR NOT EXISTS (
        SELECT FROM credits.transactions t
        WHERE t.user_id = p_user_id AND t.cause = arrival || gift.id
          AND t.idempotency_key = p_key
    ) THEN
        outcome := CASE
            WHEN EXISTS (SELECT FROM gifts.gift_blocks b WHERE b.user_id = p_user_id)
                THEN 'gifts_blocked'
            WHEN gift.creator_id = p_user_id THEN 'own_gift'
            -- Null for a gift to anybody, so not true.
            WHEN gift.target_email <> p_email THEN 'gift_not_found'
            WHEN gift.status <> 'active' OR gift.expires_at <= p_now THEN 'gift_not_redeemable'
        END;
        IF outcome IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;

    posting := credits.post_transaction(
        p_subject_id => p_transaction_id, p_user_id => p_user_id, p_type => 'gift',
        p_amount => gift.total_credits, p_counts_as => 'earned', p_app_id => p_app_id,
        p_description => 'Gift redeemed',
        p_metadata => jsonb_build_object('giftCodeId', gift.id),
        p_actor => p_actor, p_request_id => p_request_id, p_key => p_key,
        -- The caller knows only the code. With the gift's id, the same key for another gift is an
        -- error.
        p_fingerprint => p_fingerprint || gift.id, p_cause => arrival || gift.id, p_at => p_at);
    outcome := posting.outcome;
    balance := posting.balance;
    IF outcome = 'replayed' THEN
        SELECT * INTO STRICT redemption FROM gifts.gift_redemptions r
            WHERE r.transaction_id = (posting.entry).id;
    ELSIF outcome = 'posted' THEN
        UPDATE gifts.gift_codes g SET status = 'depleted', updated_at = p_now
            WHERE g.id = gift.id RETURNING g.* INTO gift;
        INSERT INTO gifts.gift_redemptions AS r (
            id, gift_code_id, redeemer_id, transaction_id, source_app_id, created_at
        ) VALUES (
            p_redemption_id, gift.id, p_user_id, p_transaction_id, p_source_app_id, p_now
        ) RETURNING r.* INTO redemption;
    END IF;
END $$;
