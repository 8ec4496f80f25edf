-- The audit trail of operators is append-only for every role. The single exception is the erasure
-- of a person's data, recognised by its shape: texts are blank and the user's id is a pseudonym,
-- and nothing else changes. Grants decide who may UPDATE at all.
CREATE OR REPLACE FUNCTION credits.refuse_change_of_audit() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    textual CONSTANT text[] := ARRAY['user_id', 'note', 'ticket', 'request_id', 'before', 'after'];
BEGIN
    IF TG_OP = 'UPDATE'
       AND (NEW.note, NEW.ticket, NEW.request_id, NEW.before, NEW.after)
           = ('', '', '', '{}'::jsonb, '{}'::jsonb)
       AND (NEW.user_id IS NOT DISTINCT FROM OLD.user_id OR NEW.user_id LIKE 'erased:%')
       AND to_jsonb(NEW) - textual = to_jsonb(OLD) - textual
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
