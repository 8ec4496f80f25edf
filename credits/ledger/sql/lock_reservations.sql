-- Lock all reservations of a user, in the order of their ids, so that two callers cannot deadlock.
CREATE OR REPLACE FUNCTION credits.lock_reservations(p_user_id text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM credits.reservations r WHERE r.user_id = p_user_id ORDER BY r.id FOR UPDATE;
END $$;
