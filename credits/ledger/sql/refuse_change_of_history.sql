-- Transactions are append-only for every role. ENABLE ALWAYS makes the trigger also fire while a
-- replication stream is applied. Two exceptions, each recognised by its shape. Grants decide who may
-- UPDATE at all.
-- * An erasure moves a row to a pseudonym and removes its texts. Their digest replaces them. No
--   number, timestamp, type or reference may change.
-- * A usage without an operation may get one, with a unit cost and a quantity whose product is its
--   amount. Nothing else may change.
CREATE OR REPLACE FUNCTION credits.refuse_change_of_history() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    textual CONSTANT text[] := ARRAY['user_id', 'cause', 'description', 'metadata', 'request_id',
                                     'idempotency_key', 'erased_digest'];
    attributed CONSTANT text[] := ARRAY['operation', 'unit_cost', 'quantity',
                                        'attribution_digest'];
BEGIN
    IF TG_OP = 'UPDATE' AND credits.is_without_texts(NEW)
       AND (OLD.cause IS NOT DISTINCT FROM NEW.cause OR NOT credits.is_impersonal(OLD.cause))
       AND to_jsonb(NEW) - textual = to_jsonb(OLD) - textual
    THEN
        NEW.erased_digest := coalesce(OLD.erased_digest, (
            SELECT credits.texts_digest(OLD, b.chain_salt) FROM credits.balances b
            WHERE b.user_id = OLD.user_id));
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.type = 'usage' AND OLD.operation IS NULL
       AND NEW.unit_cost * NEW.quantity = -OLD.amount
       AND to_jsonb(NEW) - attributed = to_jsonb(OLD) - attributed
    THEN
        NEW.attribution_digest := credits.attribution_digest(NEW);
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
