-- Move the credits of a user's lots with a transaction that was just written, and return the
-- balance. credits.post_transaction calls it for users with lots, and for a transaction that opens
-- a lot or refers to another one.
--
-- p_original is the transaction that p_entry refers to, or null. p_available_change is the change
-- of the available credits: a commit takes only what exceeds its hold. A reversal takes from the
-- lot of its original first, a claw-back from that of its purchase. A gift takes from lots last,
-- and gifts.create_gift refuses it if it takes any.
CREATE OR REPLACE FUNCTION credits.move_lots(
    p_balance credits.balances,
    p_entry credits.transactions,
    p_original credits.transactions,
    p_available_change numeric,
    p_expires_at timestamptz
) RETURNS credits.balances
LANGUAGE plpgsql AS $$
DECLARE
    own_lot uuid := p_original.id;
    taken numeric := -p_available_change;
BEGIN
    -- credits.expire_lots has emptied the lot already.
    IF p_entry.type = 'expiry' THEN
        RETURN p_balance;
    ELSIF p_expires_at IS NOT NULL THEN
        INSERT INTO credits.credit_lots (
            user_id, transaction_id, amount, remaining, repaid, expired, expires_at, notice_due_at
        ) VALUES (
            p_entry.user_id, p_entry.id, p_entry.amount, 0, 0, 0, p_expires_at,
            -- A notice of a week ahead makes no sense for credits that are valid for less.
            CASE WHEN p_expires_at > p_entry.created_at + interval '7 days'
                THEN p_expires_at - interval '7 days' END);
        PERFORM credits.fill_lot(p_entry.user_id, p_entry.id, p_entry.amount);
        RETURN credits.expire_lots(p_entry.user_id, p_entry.created_at);
    ELSIF p_entry.amount > 0 AND p_original.amount < 0 THEN
        PERFORM FROM credits.lot_uses u
            WHERE u.user_id = p_entry.user_id AND u.taker_id = p_original.id;
        IF FOUND THEN
            PERFORM credits.return_to_lots(p_original);
            RETURN credits.expire_lots(p_entry.user_id, p_entry.created_at);
        END IF;
    ELSIF p_available_change < 0 AND p_balance.next_expiry IS NOT NULL THEN
        IF p_entry.type = 'clawback' THEN
            SELECT t.id INTO own_lot FROM credits.transactions t
                WHERE t.user_id = p_entry.user_id
                  AND t.cause = 'purchase:' || (p_entry.metadata ->> 'purchaseId');
        ELSIF p_entry.type = 'gift' THEN
            -- The lots never have more than the available credits. Their excess over them is the
            -- part that the credits without an expiry did not suffice for.
            SELECT sum(l.remaining) - greatest(p_balance.posted - p_balance.held, 0) INTO taken
                FROM credits.credit_lots l
                WHERE l.user_id = p_entry.user_id AND l.remaining > 0;
        END IF;
        RETURN credits.take_lots(p_entry.user_id, p_entry.id, taken, own_lot);
    END IF;
    RETURN p_balance;
END $$;
