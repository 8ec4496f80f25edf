-- Lock a balance and return whether it exists. Without p_wait, a locked one counts as missing. The
-- service's role may not lock the row itself, because FOR UPDATE needs the right to update it.
CREATE OR REPLACE FUNCTION credits.lock_balance(p_user_id text, p_wait boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_wait THEN
        PERFORM FROM credits.balances b WHERE b.user_id = p_user_id FOR UPDATE;
    ELSE
        PERFORM FROM credits.balances b WHERE b.user_id = p_user_id FOR UPDATE SKIP LOCKED;
    END IF;
    RETURN FOUND;
END $$;
