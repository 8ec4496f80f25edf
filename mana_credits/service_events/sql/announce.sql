-- Write one message per event and subscription to it. p_events are in the order of their delivery.
--
-- The caller holds the lock on the user's balance, so the numbers of a user's messages increase in
-- the order of their commits.
CREATE OR REPLACE FUNCTION credits.announce(p_events text[], p_user_id text, p_data jsonb)
RETURNS void
LANGUAGE sql AS $$
    INSERT INTO credits.event_messages
        (id, subscription_id, user_id, event, data, due_at, created_at)
    SELECT gen_random_uuid(), s.id, p_user_id, e.event, p_data, clock_timestamp(), clock_timestamp()
    FROM unnest(p_events) WITH ORDINALITY AS e (event, place)
    JOIN credits.event_subscriptions s ON s.ended_at IS NULL AND e.event = ANY (s.events)
    ORDER BY e.place, s.id;
$$;
