-- An old usage may be attributed to an operation, once. Frozen with its migration.

-- History is only added to, for every role, also one that replays a replication stream (ALWAYS).
-- Two exceptions, each only where a setting of the transaction asks for it:
-- * credits.erasing: names and texts may change, but no number, time, type or link;
-- * credits.attributing: a usage without an operation may get one, with a price that makes up its
--   amount, and nothing else of it changes.
CREATE OR REPLACE FUNCTION credits.refuse_change_of_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('credits.erasing', true) = 'on'
       AND (NEW.id, NEW.number, NEW.type, NEW.amount, NEW.balance_before, NEW.balance_after,
            NEW.spent_change, NEW.created_at, NEW.related_id,
            NEW.operation, NEW.unit_cost, NEW.quantity)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.number, OLD.type, OLD.amount, OLD.balance_before, OLD.balance_after,
            OLD.spent_change, OLD.created_at, OLD.related_id,
            OLD.operation, OLD.unit_cost, OLD.quantity)
    THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND current_setting('credits.attributing', true) = 'on'
       AND OLD.type = 'usage' AND OLD.operation IS NULL
       AND NEW.unit_cost * NEW.quantity = -OLD.amount
       AND to_jsonb(NEW) - ARRAY['operation', 'unit_cost', 'quantity']
         = to_jsonb(OLD) - ARRAY['operation', 'unit_cost', 'quantity']
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'transactions are only added to: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
