-- Note on a locked balance when the first of its lots expires, null if none has credits left. Return
-- the balance.
CREATE OR REPLACE FUNCTION credits.note_next_expiry(p_user_id text) RETURNS credits.balances
LANGUAGE plpgsql AS $$
DECLARE
    balance credits.balances;
BEGIN
    UPDATE credits.balances b SET next_expiry = (
        SELECT min(l.expires_at) FROM credits.credit_lots l
        WHERE l.user_id = p_user_id AND l.remaining > 0
    ) WHERE b.user_id = p_user_id RETURNING b.* INTO STRICT balance;
    RETURN balance;
END $$;
