-- Create a gift with credits taken from its creator, once per key: the transaction, the gift's row
-- and the key, all or none.
--
-- outcome: 'posted', 'replayed' (gift is then the first one) or the code of the error. balance and
-- required are those of credits.post_transaction. The block and the lots are checked after the key,
-- so that a replay is also answered if something changed later. The exception rolls back what was
-- posted. Credits that expire cannot be given away, because the receiver's credits would not
-- expire.
CREATE OR REPLACE FUNCTION gifts.create_gift(
    p_gift_id uuid,
    p_code text,
    p_creator_id text,
    p_creator_name text,
    p_total_credits numeric,
    p_type text,
    p_target_email text,
    p_message text,
    p_expires_at timestamptz,
    p_campaign_id text,
    p_campaign_number integer,
    p_created_at timestamptz,
    p_transaction_id uuid,
    p_app_id text,
    p_actor text,
    p_request_id text,
    p_key text,
    p_fingerprint text,
    p_at timestamptz,
    OUT outcome text,
    OUT gift gifts.gift_codes,
    OUT balance credits.balances,
    OUT required numeric
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    posting record;
BEGIN
    -- Posted first, because it takes the lock and recognises a replay.
    posting := credits.post_transaction(
        p_subject_id => p_transaction_id, p_user_id => p_creator_id, p_type => 'gift',
        p_amount => -p_total_credits, p_counts_as => 'spent', p_app_id => p_app_id,
        p_description => 'Gift created',
        p_metadata => jsonb_build_object('giftCodeId', p_gift_id),
        p_actor => p_actor, p_request_id => p_request_id, p_key => p_key,
        p_fingerprint => p_fingerprint, p_cause => 'gift-created:' || p_gift_id, p_at => p_at);
    outcome := posting.outcome;
    balance := posting.balance;
    required := posting.required;
    IF outcome = 'replayed' THEN
        SELECT * INTO STRICT gift FROM gifts.gift_codes g WHERE g.payment_id = posting.subject_id;
    ELSIF outcome = 'posted' THEN
        IF EXISTS (SELECT FROM gifts.gift_blocks b WHERE b.user_id = p_creator_id) THEN
            RAISE EXCEPTION 'this user is blocked from gifts' USING ERRCODE = 'MC001';
        ELSIF EXISTS (SELECT FROM credits.lot_uses u
                      WHERE u.user_id = p_creator_id AND u.taker_id = p_transaction_id) THEN
            RAISE EXCEPTION 'the gift would take credits that expire' USING ERRCODE = 'MC002';
        END IF;
        INSERT INTO gifts.gift_codes AS g (
            id, code, creator_id, creator_name, total_credits, type, target_email, message,
            expires_at, payment_id, campaign_id, campaign_number, created_at, updated_at
        ) VALUES (
            p_gift_id, p_code, p_creator_id, p_creator_name, p_total_credits, p_type,
            p_target_email, p_message, p_expires_at, p_transaction_id, p_campaign_id,
            p_campaign_number, p_created_at, p_created_at
        ) RETURNING g.* INTO gift;
    END IF;
EXCEPTION
    WHEN SQLSTATE 'MC001' THEN outcome := 'gifts_blocked';
    WHEN SQLSTATE 'MC002' THEN outcome := 'gift_of_expiring_credits';
END $$;
