-- Take up to p_amount credits from a user's lots: from p_first, if given, and then from those that
-- expire first. Record the parts under p_taker_id (a transaction or a reservation) and return the
-- balance. The rest is taken from the credits that never expire.
--
-- The caller holds the lock on the balance, which protects all lots of the user.
CREATE OR REPLACE FUNCTION credits.take_lots(
    p_user_id text, p_taker_id uuid, p_amount numeric, p_first uuid DEFAULT NULL
) RETURNS credits.balances
LANGUAGE plpgsql AS $$
DECLARE
    missing numeric := p_amount;
    part numeric;
    lot record;
BEGIN
    FOR lot IN
        SELECT l.transaction_id, l.remaining FROM credits.credit_lots l
        WHERE l.user_id = p_user_id AND l.remaining > 0
        ORDER BY (l.transaction_id IS NOT DISTINCT FROM p_first) DESC, l.expires_at,
                 l.transaction_id
    LOOP
        EXIT WHEN missing <= 0;
        part := least(missing, lot.remaining);
        UPDATE credits.credit_lots l SET remaining = l.remaining - part
            WHERE l.user_id = p_user_id AND l.transaction_id = lot.transaction_id;
        INSERT INTO credits.lot_uses (user_id, taker_id, lot_id, taken)
            VALUES (p_user_id, p_taker_id, lot.transaction_id, part);
        missing := missing - part;
    END LOOP;
    RETURN credits.note_next_expiry(p_user_id);
END $$;
