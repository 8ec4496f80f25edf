-- Transactions are append-only for every role. ENABLE ALWAYS makes the trigger also fire while a
-- replication stream is applied. Two exceptions, each enabled by a setting of the transaction:
-- * credits.erasing: names and texts may change, but no number, timestamp, type or reference;
-- * credits.attributing: a usage without an operation may get one, with a unit cost and a quantity
--   whose product is its amount. Nothing else may change.
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
    RAISE EXCEPTION 'transactions are append-only: % rejected', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE OR REPLACE TRIGGER transactions_are_append_only
    BEFORE UPDATE OR DELETE ON credits.transactions
    FOR EACH ROW EXECUTE FUNCTION credits.refuse_change_of_history();
CREATE OR REPLACE TRIGGER transactions_are_never_truncated
    BEFORE TRUNCATE ON credits.transactions
    FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change_of_history();
ALTER TABLE credits.transactions ENABLE ALWAYS TRIGGER transactions_are_append_only;
ALTER TABLE credits.transactions ENABLE ALWAYS TRIGGER transactions_are_never_truncated;
