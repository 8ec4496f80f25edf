-- Delete the idempotency key of a row that was removed, so that it can be used again.
CREATE OR REPLACE FUNCTION credits.delete_key(p_user_id text, p_subject_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM credits.transactions t
               WHERE t.user_id = p_user_id AND t.id = p_subject_id) THEN
        RAISE EXCEPTION 'the key of a transaction stays used'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    DELETE FROM credits.idempotency_keys k
        WHERE k.user_id = p_user_id AND k.subject_id = p_subject_id;
END $$;
