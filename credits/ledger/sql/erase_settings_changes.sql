-- Blank the record of an erased person's settings and move it to p_pseudonym; return the number of
-- rows. The subject, the actor and the time of each change stay.
CREATE OR REPLACE FUNCTION credits.erase_settings_changes(p_user_id text, p_pseudonym text)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    blanked integer;
BEGIN
    PERFORM credits.require_pseudonym(p_pseudonym);
    UPDATE credits.settings_changes c SET
        user_id = p_pseudonym, request_id = NULL, before = '{}', after = '{}'
        WHERE c.user_id = p_user_id;
    GET DIAGNOSTICS blanked = ROW_COUNT;
    RETURN blanked;
END $$;
