-- Announce the first spend or hold of a UTC month that a limit of the user refused. The caller,
-- credits.note_limit, holds the lock on the balance. appId is absent for the limit over all apps.
CREATE OR REPLACE FUNCTION credits.announce_limit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM credits.announce(
        ARRAY['spending_limit.reached'], NEW.user_id,
        jsonb_strip_nulls(jsonb_build_object(
            'limit', trim_scale(NEW.amount), 'appId', nullif(NEW.app_id, ''),
            'month', to_char(NEW.reached_at AT TIME ZONE 'UTC', 'YYYY-MM'))));
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER limit_is_announced
    AFTER UPDATE OF reached_at ON credits.spending_limits
    FOR EACH ROW
    WHEN (NEW.reached_at IS NOT NULL AND NEW.reached_at IS DISTINCT FROM OLD.reached_at)
    EXECUTE FUNCTION credits.announce_limit();
