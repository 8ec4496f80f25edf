-- Add a change of a user's settings to the record. p_change is the row as a JSON object. The time
-- is the database's, so no agreement is dated back.
CREATE OR REPLACE FUNCTION credits.record_settings_change(p_change jsonb) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change credits.settings_changes := jsonb_populate_record(NULL::credits.settings_changes, p_change);
BEGIN
    change.changed_at := clock_timestamp();
    INSERT INTO credits.settings_changes SELECT (change).*;
    RETURN change.changed_at;
END $$;
