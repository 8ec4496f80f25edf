-- Keys and foreign keys of a user's rows begin with user_id. Then the schema can be sharded by
-- user_id, and a row can only refer to a transaction of the same user. Django's models declare `id`
-- as the primary key and no foreign keys: see docs/decisions/0006-keys-begin-with-the-user.md.
ALTER TABLE credits.transactions DROP CONSTRAINT transactions_pkey;
ALTER TABLE credits.transactions ADD CONSTRAINT transactions_pkey PRIMARY KEY (user_id, id);
ALTER TABLE credits.reservations DROP CONSTRAINT reservations_pkey;
ALTER TABLE credits.reservations ADD CONSTRAINT reservations_pkey PRIMARY KEY (user_id, id);
ALTER TABLE credits.credit_lots DROP CONSTRAINT credit_lots_pkey;
ALTER TABLE credits.credit_lots ADD CONSTRAINT credit_lots_pkey
    PRIMARY KEY (user_id, transaction_id);

-- Checked at commit, because erasure replaces the user id in one table after the other.
ALTER TABLE credits.transactions ADD CONSTRAINT transaction_related_is_of_the_same_user
    FOREIGN KEY (user_id, related_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE credits.reservations ADD CONSTRAINT reservation_transaction_is_of_the_same_user
    FOREIGN KEY (user_id, transaction_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE credits.purchases ADD CONSTRAINT purchase_transaction_is_of_the_same_user
    FOREIGN KEY (user_id, transaction_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE credits.sync_subscriptions ADD CONSTRAINT sync_charge_is_of_the_same_user
    FOREIGN KEY (user_id, charge_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE credits.adjustment_requests ADD CONSTRAINT adjustment_transaction_is_of_the_same_user
    FOREIGN KEY (user_id, transaction_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE credits.credit_lots ADD CONSTRAINT lot_transaction_is_of_the_same_user
    FOREIGN KEY (user_id, transaction_id) REFERENCES credits.transactions (user_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE credits.lot_uses ADD CONSTRAINT lot_use_takes_from_a_lot_of_the_same_user
    FOREIGN KEY (user_id, lot_id) REFERENCES credits.credit_lots (user_id, transaction_id)
    DEFERRABLE INITIALLY DEFERRED;
