-- Move a user's reservations to a pseudonym, without texts; return their number.
CREATE OR REPLACE FUNCTION credits.erase_reservations(p_user_id text, p_pseudonym text)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved integer;
BEGIN
    PERFORM credits.require_pseudonym(p_pseudonym);
    UPDATE credits.reservations r SET
        user_id = p_pseudonym, reason = r.app_id, request_id = NULL
        WHERE r.user_id = p_user_id;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END $$;
