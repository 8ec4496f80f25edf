-- Record that the user was told about the expiry of a lot. The caller holds the lock on the
-- balance.
CREATE OR REPLACE FUNCTION credits.end_lot_notice(p_user_id text, p_lot_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE credits.credit_lots l SET notice_due_at = NULL
        WHERE l.user_id = p_user_id AND l.transaction_id = p_lot_id;
END $$;
