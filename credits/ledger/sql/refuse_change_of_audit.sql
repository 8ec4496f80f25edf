-- The audit trail of operators is append-only for every role. The single exception is the erasure of a
-- person's data: with credits.erasing = 'on' the user id and texts may change, but not the operator,
-- the action and the time.
CREATE OR REPLACE FUNCTION credits.refuse_change_of_audit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('credits.erasing', true) = 'on'
       AND (NEW.id, NEW.at, NEW.operator, NEW.action, NEW.key)
           IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.operator, OLD.action, OLD.key)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'staff actions are append-only: % rejected', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE OR REPLACE TRIGGER staff_actions_are_append_only
    BEFORE UPDATE OR DELETE ON credits.staff_actions
    FOR EACH ROW EXECUTE FUNCTION credits.refuse_change_of_audit();
CREATE OR REPLACE TRIGGER staff_actions_are_never_truncated
    BEFORE TRUNCATE ON credits.staff_actions
    FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change_of_audit();
ALTER TABLE credits.staff_actions ENABLE ALWAYS TRIGGER staff_actions_are_append_only;
ALTER TABLE credits.staff_actions ENABLE ALWAYS TRIGGER staff_actions_are_never_truncated;
