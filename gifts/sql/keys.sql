-- The payment of a gift is a transaction of its creator, the redemption one of its redeemer.
-- Checked at commit, because erasure replaces the user id in one table after the other.
ALTER TABLE gifts.gift_codes ADD CONSTRAINT gift_payment_is_of_its_creator
    FOREIGN KEY (creator_id, payment_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE gifts.gift_redemptions ADD CONSTRAINT redemption_transaction_is_of_its_redeemer
    FOREIGN KEY (redeemer_id, transaction_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
