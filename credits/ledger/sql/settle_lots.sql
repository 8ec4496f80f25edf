-- Settle the parts of lots that a reservation holds. The transaction p_transaction_id spent p_spent
-- credits of it, first what expires first. The rest goes back to its lots, and what is past its
-- date expires at once. Return the balance.
--
-- The caller holds the lock on the balance and has written its new posted and held credits.
CREATE OR REPLACE FUNCTION credits.settle_lots(
    p_user_id text, p_reservation_id uuid, p_transaction_id uuid, p_spent numeric, p_at timestamptz
) RETURNS credits.balances
LANGUAGE plpgsql AS $$
DECLARE
    unspent numeric;
    part numeric;
    use record;
BEGIN
    SELECT sum(u.taken) - coalesce(p_spent, 0) INTO unspent FROM credits.lot_uses u
        WHERE u.user_id = p_user_id AND u.taker_id = p_reservation_id;
    FOR use IN
        SELECT u.lot_id, u.taken FROM credits.lot_uses u
        JOIN credits.credit_lots l ON l.user_id = u.user_id AND l.transaction_id = u.lot_id
        WHERE u.user_id = p_user_id AND u.taker_id = p_reservation_id
        -- The lot that expires last is given back first, as the spend takes first what expires
        -- first.
        ORDER BY l.expires_at DESC, u.lot_id DESC
    LOOP
        part := greatest(least(unspent, use.taken), 0);
        unspent := unspent - part;
        DELETE FROM credits.lot_uses u
            WHERE u.user_id = p_user_id AND u.taker_id = p_reservation_id
              AND u.lot_id = use.lot_id;
        IF part > 0 THEN
            PERFORM credits.fill_lot(p_user_id, use.lot_id, part);
        END IF;
        IF part < use.taken THEN
            -- A commit above its hold has taken the excess, perhaps from the same lot.
            INSERT INTO credits.lot_uses AS u (user_id, taker_id, lot_id, taken)
                VALUES (p_user_id, p_transaction_id, use.lot_id, use.taken - part)
                ON CONFLICT (user_id, taker_id, lot_id)
                DO UPDATE SET taken = u.taken + excluded.taken;
        END IF;
    END LOOP;
    RETURN credits.expire_lots(p_user_id, p_at);
END $$;
