-- Blank the fingerprint of a key, because it names an erased person. The key stays used, so that a
-- late retry of its request moves nothing.
CREATE OR REPLACE FUNCTION credits.blank_key(p_user_id text, p_subject_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE credits.idempotency_keys k SET fingerprint = 'erased'
        WHERE k.user_id = p_user_id AND k.subject_id = p_subject_id;
END $$;
