-- Announce a new transaction to the subscribers of its events. The condition of the trigger keeps
-- spends, unless one depletes the balance, from calling the function at all.
--
-- Transactions older than a day are an import of history. They are not announced.
CREATE OR REPLACE FUNCTION credits.announce_transaction() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.created_at < clock_timestamp() - interval '1 day'
       OR NOT EXISTS (SELECT FROM credits.event_subscriptions WHERE ended_at IS NULL) THEN
        RETURN NULL;
    END IF;
    PERFORM credits.announce(
        array_remove(ARRAY[
            CASE WHEN NEW.amount > 0 THEN 'credits.added' END,
            CASE WHEN NEW.type = 'purchase' THEN 'purchase.completed' END,
            CASE WHEN NEW.type = 'clawback' AND NEW.cause LIKE 'refund:%'
                THEN 'purchase.refunded' END,
            -- A gift that comes back to its creator refers to the transaction that paid for it.
            CASE WHEN NEW.type = 'gift' AND NEW.amount > 0 AND NEW.related_id IS NULL
                THEN 'gift.redeemed' END,
            CASE WHEN NEW.balance_before > 0 AND NEW.balance_after <= 0
                THEN 'balance.depleted' END
        ], NULL),
        NEW.user_id,
        jsonb_strip_nulls(jsonb_build_object(
            'transactionId', NEW.id,
            'transactionType', NEW.type,
            'amount', trim_scale(NEW.amount),
            'balance', trim_scale(NEW.balance_after),
            'appId', NEW.app_id,
            'purchaseId', CASE WHEN NEW.type IN ('purchase', 'clawback', 'reinstatement')
                THEN NEW.metadata -> 'purchaseId' END,
            'giftId', CASE WHEN NEW.type = 'gift' THEN NEW.metadata -> 'giftCodeId' END
        )));
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER transaction_is_announced
    AFTER INSERT ON credits.transactions
    FOR EACH ROW
    WHEN (NEW.amount > 0.0 OR NEW.type = 'clawback'
          OR NEW.balance_after <= 0.0 AND NEW.balance_before > 0.0)
    EXECUTE FUNCTION credits.announce_transaction();
