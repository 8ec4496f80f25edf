-- Set next_expiry of a locked balance to the earliest expiry of its lots with credits left, or to
-- null. Return the balance.
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
