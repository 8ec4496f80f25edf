-- Note that a spend or a hold was refused because of a limit of the user: once per UTC month and
-- limit. p_reached is the result of credits.reached_limit. The caller holds the lock on the
-- balance.
CREATE OR REPLACE FUNCTION credits.note_limit(
    p_user_id text, p_reached jsonb, p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE credits.spending_limits l SET reached_at = p_at
        WHERE l.user_id = p_user_id AND l.app_id = coalesce(p_reached ->> 'app', '')
          -- Once per month, so that an app that keeps trying does not announce the limit again and
          -- again.
          AND (l.reached_at IS NULL
               OR l.reached_at < date_trunc('month', p_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC');
END $$;
