-- Return p_spending after a spend of p_amount in p_app_id. A null stays null.
CREATE OR REPLACE FUNCTION credits.with_spending(
    p_spending jsonb, p_app_id text, p_amount numeric
) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    app text;
BEGIN
    IF p_spending IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH app IN ARRAY ARRAY['', p_app_id] LOOP
        IF p_spending ? app THEN
            p_spending := jsonb_set(p_spending, ARRAY[app, '1'], to_jsonb(
                (p_spending -> app ->> 1)::numeric + p_amount));
        END IF;
    END LOOP;
    RETURN p_spending;
END $$;
