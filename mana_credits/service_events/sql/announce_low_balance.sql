-- Announce that a movement took the posted balance to the user's threshold or below it. The caller,
-- credits.note_crossing, holds the lock on the balance.
CREATE OR REPLACE FUNCTION credits.announce_low_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM credits.announce(
        ARRAY['balance.low'], NEW.user_id,
        jsonb_build_object(
            'threshold', trim_scale(NEW.low_balance), 'balance', trim_scale(b.posted)))
        FROM credits.balances b WHERE b.user_id = NEW.user_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER low_balance_is_announced
    AFTER UPDATE OF crossed_at ON credits.account_settings
    FOR EACH ROW
    WHEN (OLD.crossed_at IS NULL AND NEW.crossed_at IS NOT NULL)
    EXECUTE FUNCTION credits.announce_low_balance();
