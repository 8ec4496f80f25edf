-- Say on the user's balance whether the user has settings. The balance exists.
CREATE OR REPLACE FUNCTION credits.mark_settings(
    p_user_id text, p_present boolean, OUT marked boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE credits.balances b SET has_settings = p_present, version = b.version + 1
        WHERE b.user_id = p_user_id AND b.has_settings IS DISTINCT FROM p_present;
    marked := FOUND;
END $$;
