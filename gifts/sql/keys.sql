-- A gift was paid for by a transaction of its creator and arrived by one of its redeemer. Checked when
-- the transaction commits: erasure renames the user in one table after the other.
ALTER TABLE gifts.gift_codes ADD CONSTRAINT gift_payment_is_of_its_creator
    FOREIGN KEY (creator_id, payment_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE gifts.gift_redemptions ADD CONSTRAINT redemption_transaction_is_of_its_redeemer
    FOREIGN KEY (redeemer_id, transaction_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
