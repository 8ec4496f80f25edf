-- Return the limit that a spend of p_amount in p_app_id would exceed, or null: the limit, what was
-- spent (both as text, because they are exact) and the app, null for the limit over all apps.
-- p_spending is the result of credits.month_spending.
CREATE OR REPLACE FUNCTION credits.reached_limit(
    p_spending jsonb, p_app_id text, p_amount numeric
) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    app text;
BEGIN
    -- The limit over all apps is reported first. Without a limit the comparison is null, so not
    -- true.
    FOREACH app IN ARRAY ARRAY['', p_app_id] LOOP
        IF (p_spending -> app ->> 1)::numeric + p_amount > (p_spending -> app ->> 0)::numeric THEN
            RETURN jsonb_build_object(
                'limit', p_spending -> app ->> 0, 'spent', p_spending -> app ->> 1,
                'app', nullif(app, ''));
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
