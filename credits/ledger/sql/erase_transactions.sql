-- Move a user's transactions p_first to p_last to a pseudonym, without texts; return their number.
-- The digest of the texts replaces them (credits.refuse_change_of_history).
CREATE OR REPLACE FUNCTION credits.erase_transactions(
    p_user_id text, p_pseudonym text, p_first bigint, p_last bigint
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved integer;
BEGIN
    PERFORM credits.require_pseudonym(p_pseudonym);
    -- In spans of numbers, because a long history takes longer than one statement may.
    UPDATE credits.transactions t SET
        user_id = p_pseudonym,
        cause = CASE WHEN t.cause IS NULL OR credits.is_impersonal(t.cause) THEN t.cause
                     ELSE 'erased:' || t.id END,
        description = '', metadata = NULL, request_id = NULL, idempotency_key = NULL
        WHERE t.user_id = p_user_id AND t.number BETWEEN p_first AND p_last;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END $$;
