-- Announce that credits of a user expire within a week, in the transaction that notifies the user.
-- The worker holds the lock on the balance.
CREATE OR REPLACE FUNCTION credits.announce_expiring() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM credits.announce(
        ARRAY['credits.expiring'], NEW.user_id,
        jsonb_build_object(
            'transactionId', NEW.transaction_id, 'amount', trim_scale(NEW.remaining),
            'expiresAt', to_char(
                NEW.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')));
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER expiring_credits_are_announced
    AFTER UPDATE OF notice_due_at ON credits.credit_lots
    FOR EACH ROW
    WHEN (OLD.notice_due_at IS NOT NULL AND NEW.notice_due_at IS NULL)
    EXECUTE FUNCTION credits.announce_expiring();
