-- Delete up to p_limit idempotency keys recorded before p_before; return their number.
--
-- Deletes by ctid, so that a batch is searched once, by the index on created_at. Keys of the last
-- day stay whatever p_before is: without them a retry would post a second time.
CREATE OR REPLACE FUNCTION credits.delete_old_keys(p_before timestamptz, p_limit integer)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM credits.idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT k.ctid FROM credits.idempotency_keys k
        WHERE k.created_at < least(p_before, clock_timestamp() - interval '1 day')
        LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END $$;
