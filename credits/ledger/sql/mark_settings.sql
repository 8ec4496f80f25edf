-- Note on the user's balance whether a movement must read the user's settings. The balance exists,
-- and the caller holds its lock.
CREATE OR REPLACE FUNCTION credits.mark_settings(p_user_id text, OUT marked boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    marked := EXISTS (SELECT FROM credits.spending_limits l WHERE l.user_id = p_user_id)
        OR EXISTS (SELECT FROM credits.auto_top_ups t WHERE t.user_id = p_user_id)
        OR EXISTS (SELECT FROM credits.account_settings s
                   WHERE s.user_id = p_user_id AND s.low_balance IS NOT NULL);
    UPDATE credits.balances b SET has_settings = marked, version = b.version + 1
        WHERE b.user_id = p_user_id AND b.has_settings IS DISTINCT FROM marked;
END $$;
