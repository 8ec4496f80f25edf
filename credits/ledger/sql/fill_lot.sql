-- Add p_amount credits to their lot: a new one, or the one that they were taken from. While the user is in debt, available credits
-- first repay the debt: the lots never have more credits than are available.
--
-- The caller holds the lock on the balance and has written its new posted and held credits.
CREATE OR REPLACE FUNCTION credits.fill_lot(p_user_id text, p_lot_id uuid, p_amount numeric)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    room numeric;
    kept numeric;
BEGIN
    SELECT greatest(b.posted - b.held, 0) - (
        SELECT coalesce(sum(l.remaining), 0) FROM credits.credit_lots l
        WHERE l.user_id = p_user_id AND l.remaining > 0
    ) INTO room FROM credits.balances b WHERE b.user_id = p_user_id;
    kept := least(p_amount, room);
    UPDATE credits.credit_lots l SET
        remaining = l.remaining + kept,
        repaid = l.repaid + p_amount - kept
        WHERE l.user_id = p_user_id AND l.transaction_id = p_lot_id;
END $$;
