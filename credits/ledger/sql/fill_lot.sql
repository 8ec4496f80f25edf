-- Add p_amount credits to their lot: a new one, or the one that they were taken from. While the
-- user is in debt, available credits first repay the debt: the lots never have more credits than
-- are available. If the lot's transaction was reversed or clawed back, other credits replaced those
-- that were spent, and these are repaid.
--
-- The caller holds the lock on the balance and has written its new posted and held credits.
CREATE OR REPLACE FUNCTION credits.fill_lot(p_user_id text, p_lot_id uuid, p_amount numeric)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    room numeric;
    not_undone numeric;
    kept numeric;
BEGIN
    SELECT greatest(b.posted - b.held, 0) - (
        SELECT coalesce(sum(l.remaining), 0) FROM credits.credit_lots l
        WHERE l.user_id = p_user_id AND l.remaining > 0
    ) INTO room FROM credits.balances b WHERE b.user_id = p_user_id;
    -- The part that reversals, expiries and claw-backs of the lot's transaction have not taken yet.
    -- A later expiry of more would take it twice.
    SELECT l.amount - l.remaining + (
        SELECT coalesce(sum(t.amount), 0) FROM credits.transactions t
        WHERE t.user_id = p_user_id AND t.related_id = p_lot_id
    ) + (
        SELECT coalesce(sum(t.amount + (
            SELECT coalesce(sum(r.amount), 0) FROM credits.transactions r
            WHERE r.user_id = p_user_id AND r.related_id = t.id
        )), 0) FROM credits.transactions t
        WHERE t.user_id = p_user_id AND t.type = 'clawback'
          AND NOT (t.type = 'usage')  -- the condition of transaction_by_type_idx
          AND own.cause = 'purchase:' || (t.metadata ->> 'purchaseId')
    ) INTO not_undone
        FROM credits.credit_lots l JOIN credits.transactions own
            ON own.user_id = l.user_id AND own.id = l.transaction_id
        WHERE l.user_id = p_user_id AND l.transaction_id = p_lot_id;
    kept := greatest(least(p_amount, room, not_undone), 0);
    UPDATE credits.credit_lots l SET
        remaining = l.remaining + kept,
        repaid = l.repaid + p_amount - kept
        WHERE l.user_id = p_user_id AND l.transaction_id = p_lot_id;
END $$;
