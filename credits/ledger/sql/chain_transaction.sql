-- Compute the digest of a new transaction that has none, such as imported history. The rows of one
-- statement follow each other in their order. The caller updates the balance's last_digest.
-- credits.post_transaction and credits.spend_batch compute digests themselves: they have locked the
-- balance, so they need no look-up, and a trigger would be slower.
--
-- recorded_at is the time of the INSERT if created_at is long past. Therefore no row joins a day
-- whose anchor was made before.
CREATE OR REPLACE FUNCTION credits.chain_transaction() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    chain record;
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    SELECT b.chain_id, b.chain_salt, p.digest AS previous INTO chain
        FROM credits.balances b
        LEFT JOIN credits.transactions p ON p.user_id = b.user_id AND p.number = NEW.number - 1
        WHERE b.user_id = NEW.user_id;
    NEW.recorded_at := CASE
        WHEN NEW.created_at < moment - interval '1 hour' THEN moment END;
    NEW.erased_digest := NULL;
    NEW.attribution_digest := NULL;
    NEW.digest := credits.transaction_digest(
        NEW, chain.previous, chain.chain_id, credits.texts_digest(NEW, chain.chain_salt));
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER transactions_are_chained
    BEFORE INSERT ON credits.transactions
    FOR EACH ROW WHEN (NEW.digest IS NULL) EXECUTE FUNCTION credits.chain_transaction();
ALTER TABLE credits.transactions ENABLE ALWAYS TRIGGER transactions_are_chained;
