-- Note that a movement took the posted balance to a threshold of the user or below it. p_balance is
-- the balance after the movement, p_change the change of its posted credits, below zero.
--
-- Held credits do not count: a hold may be released. The caller holds the lock on the balance.
CREATE OR REPLACE FUNCTION credits.note_crossing(
    p_balance credits.balances, p_change numeric, p_type text, p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- The balance before the movement is compared too: only the crossing is announced, not each
    -- movement below the threshold.
    UPDATE credits.account_settings s SET crossed_at = p_at
        WHERE s.user_id = p_balance.user_id AND s.crossed_at IS NULL
          AND p_balance.posted <= s.low_balance AND p_balance.posted - p_change > s.low_balance;
    -- A claw-back is due at any balance and in any month: the worker pauses the top-up.
    UPDATE credits.auto_top_ups t SET due_at = p_at
        WHERE t.user_id = p_balance.user_id AND t.paused_at IS NULL
          AND (p_type = 'clawback' OR t.due_at IS NULL
               AND p_balance.posted <= t.threshold AND p_balance.posted - p_change > t.threshold);
END $$;
