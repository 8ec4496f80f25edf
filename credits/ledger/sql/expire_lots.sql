-- Post what has expired of a user's lots, one transaction for each lot, and return the balance. The
-- caller holds the lock on the balance.
--
-- A movement may have a timestamp in the past. Credits that have expired by the clock expire then,
-- too: the expiry is posted now, so no closed day or month changes.
CREATE OR REPLACE FUNCTION credits.expire_lots(p_user_id text, p_at timestamptz)
RETURNS credits.balances
LANGUAGE plpgsql AS $$
DECLARE
    moment CONSTANT timestamptz := greatest(p_at, clock_timestamp());
    balance credits.balances;
    due credits.credit_lots[];
    lot credits.credit_lots;
    earlier bigint;
    random bytea;
    posting record;
BEGIN
    SELECT array_agg(l ORDER BY l.expires_at, l.transaction_id) INTO due
        FROM credits.credit_lots l
        WHERE l.user_id = p_user_id AND l.remaining > 0 AND l.expires_at <= moment;
    -- The lots are emptied first, so that credits.post_transaction finds nothing due.
    UPDATE credits.credit_lots l SET expired = l.expired + l.remaining, remaining = 0
        WHERE l.user_id = p_user_id AND l.remaining > 0 AND l.expires_at <= moment;
    balance := credits.note_next_expiry(p_user_id);
    FOREACH lot IN ARRAY coalesce(due, '{}') LOOP
        -- A lot expires again if a refund gives credits back to it.
        SELECT count(*) INTO earlier FROM credits.transactions t
            WHERE t.user_id = p_user_id AND t.related_id = lot.transaction_id
              AND t.type = 'expiry';
        -- A UUIDv7 (RFC 9562), as credits.ids makes them: lists of all users are ordered by ids.
        random := overlay(uuid_send(gen_random_uuid()) PLACING substring(
            int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1);
        posting := credits.post_transaction(
            p_subject_id => encode(set_bit(set_bit(random, 52, 1), 53, 1), 'hex')::uuid,
            p_user_id => p_user_id, p_actor => 'system',
            p_type => 'expiry', p_amount => -lot.remaining, p_may_overdraw => true,
            p_app_id => 'system', p_description => 'Credits expired',
            p_cause => 'expiry:' || lot.transaction_id
                || CASE WHEN earlier > 0 THEN ':' || earlier + 1 ELSE '' END,
            p_related_id => lot.transaction_id, p_at => date_trunc('milliseconds', moment));
        IF posting.outcome <> 'posted' THEN
            RAISE EXCEPTION 'the expiry of lot % was not posted: %', lot.transaction_id,
                posting.outcome;
        END IF;
        balance := posting.balance;
    END LOOP;
    RETURN balance;
END $$;
