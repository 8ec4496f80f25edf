-- Lock a reservation and return whether it exists. Without p_wait, a locked one counts as missing.
-- The service's role may not lock the row itself, because FOR UPDATE needs the right to update it.
CREATE OR REPLACE FUNCTION credits.lock_reservation(
    p_user_id text, p_reservation_id uuid, p_wait boolean
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_wait THEN
        PERFORM FROM credits.reservations r
            WHERE r.user_id = p_user_id AND r.id = p_reservation_id FOR UPDATE;
    ELSE
        PERFORM FROM credits.reservations r
            WHERE r.user_id = p_user_id AND r.id = p_reservation_id FOR UPDATE SKIP LOCKED;
    END IF;
    RETURN FOUND;
END $$;
