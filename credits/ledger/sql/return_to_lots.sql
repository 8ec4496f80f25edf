-- Return to their lots the credits that were given back of p_original, a transaction that took
-- credits. The credits that were taken last are given back first: those that never expire, then
-- those of the lot that expires last. The caller has written the transaction that gives back, and
-- holds the lock on the balance.
CREATE OR REPLACE FUNCTION credits.return_to_lots(p_original credits.transactions) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    due numeric;
    part numeric;
    use record;
BEGIN
    -- All that was given back, minus what never came from a lot, minus what the lots got before.
    SELECT least((
        SELECT sum(t.amount) FROM credits.transactions t
        WHERE t.user_id = p_original.user_id AND t.related_id = p_original.id
    ) + p_original.amount + sum(u.taken), sum(u.taken)) - sum(u.given_back)
        INTO due FROM credits.lot_uses u
        WHERE u.user_id = p_original.user_id AND u.taker_id = p_original.id;
    FOR use IN
        SELECT u.lot_id, u.taken - u.given_back AS left_over
        FROM credits.lot_uses u
        JOIN credits.credit_lots l ON l.user_id = u.user_id AND l.transaction_id = u.lot_id
        WHERE u.user_id = p_original.user_id AND u.taker_id = p_original.id
          AND u.taken > u.given_back
        ORDER BY l.expires_at DESC, u.lot_id DESC
    LOOP
        EXIT WHEN due <= 0;
        part := least(due, use.left_over);
        UPDATE credits.lot_uses u SET given_back = u.given_back + part
            WHERE u.user_id = p_original.user_id AND u.taker_id = p_original.id
              AND u.lot_id = use.lot_id;
        PERFORM credits.fill_lot(p_original.user_id, use.lot_id, part);
        due := due - part;
    END LOOP;
END $$;
