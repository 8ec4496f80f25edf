-- What operators did is only added to. The single exception is the erasure of a person's data:
-- with credits.erasing = 'on' the user and texts may change, but not who did what and when.
CREATE FUNCTION credits.refuse_change_of_audit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('credits.erasing', true) = 'on'
       AND (NEW.id, NEW.at, NEW.operator, NEW.action, NEW.key)
           IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.operator, OLD.action, OLD.key)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'staff actions are only added to: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER staff_actions_are_append_only BEFORE UPDATE OR DELETE ON credits.staff_actions
    FOR EACH ROW EXECUTE FUNCTION credits.refuse_change_of_audit();
CREATE TRIGGER staff_actions_are_never_truncated BEFORE TRUNCATE ON credits.staff_actions
    FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change_of_audit();
ALTER TABLE credits.staff_actions ENABLE ALWAYS TRIGGER staff_actions_are_append_only;
ALTER TABLE credits.staff_actions ENABLE ALWAYS TRIGGER staff_actions_are_never_truncated;
