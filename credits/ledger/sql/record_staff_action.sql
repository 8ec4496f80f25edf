-- Add an act of an operator to the audit trail and return its time. p_action is the row as a JSON
-- object. The time is the database's, so no act can be backdated.
CREATE OR REPLACE FUNCTION credits.record_staff_action(p_action jsonb) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    action credits.staff_actions := jsonb_populate_record(NULL::credits.staff_actions, p_action);
BEGIN
    action.at := clock_timestamp();
    INSERT INTO credits.staff_actions SELECT (action).*;
    RETURN action.at;
END $$;
