-- The record of what users agreed to is append-only for every role. The single exception is the
-- erasure of a person's data, recognised by its shape: the settings are blank and the user's id is
-- a pseudonym, and nothing else changes. Grants decide who may UPDATE at all.
CREATE OR REPLACE FUNCTION credits.refuse_change_of_settings() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    textual CONSTANT text[] := ARRAY['user_id', 'request_id', 'before', 'after'];
BEGIN
    IF TG_OP = 'UPDATE'
       AND NEW.user_id LIKE 'erased:%'
       AND NEW.request_id IS NULL
       AND (NEW.before, NEW.after) = ('{}'::jsonb, '{}'::jsonb)
       AND to_jsonb(NEW) - textual = to_jsonb(OLD) - textual
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'changes of settings are append-only: % rejected', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE OR REPLACE TRIGGER settings_changes_are_append_only
    BEFORE UPDATE OR DELETE ON credits.settings_changes
    FOR EACH ROW EXECUTE FUNCTION credits.refuse_change_of_settings();
CREATE OR REPLACE TRIGGER settings_changes_are_never_truncated
    BEFORE TRUNCATE ON credits.settings_changes
    FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change_of_settings();
ALTER TABLE credits.settings_changes ENABLE ALWAYS TRIGGER settings_changes_are_append_only;
ALTER TABLE credits.settings_changes ENABLE ALWAYS TRIGGER settings_changes_are_never_truncated;
