-- Announce that a Cloud Sync subscription was paused because the credits did not suffice. The lock
-- on the balance keeps the user's messages in order. It is taken after the subscription's row,
-- because balances are locked last everywhere.
CREATE OR REPLACE FUNCTION credits.announce_pause() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM credits.event_subscriptions s
        WHERE s.ended_at IS NULL AND 'subscription.paused' = ANY (s.events)
    ) THEN
        PERFORM FROM credits.balances b WHERE b.user_id = NEW.user_id FOR UPDATE;
        PERFORM credits.announce(
            ARRAY['subscription.paused'], NEW.user_id,
            jsonb_build_object('interval', NEW.interval, 'pausedAt', to_char(
                NEW.paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')));
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER pause_is_announced
    AFTER UPDATE OF paused_at ON credits.sync_subscriptions
    FOR EACH ROW
    WHEN (OLD.paused_at IS NULL AND NEW.paused_at IS NOT NULL)
    EXECUTE FUNCTION credits.announce_pause();
