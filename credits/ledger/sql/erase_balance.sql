-- Complete an erasure: delete the user's keys and move the balance to the pseudonym.
--
-- The history must have been moved before. Without the salt, the digests of the deleted texts
-- reveal nothing. With p_unused, a balance that was never used is deleted.
CREATE OR REPLACE FUNCTION credits.erase_balance(
    p_user_id text, p_pseudonym text, p_unused boolean, OUT keys integer, OUT balances integer
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM credits.require_pseudonym(p_pseudonym);
    IF EXISTS (SELECT FROM credits.transactions t WHERE t.user_id = p_user_id)
       OR EXISTS (SELECT FROM credits.reservations r WHERE r.user_id = p_user_id) THEN
        RAISE EXCEPTION 'the history of an erased person is moved before the balance'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    DELETE FROM credits.idempotency_keys k WHERE k.user_id = p_user_id;
    GET DIAGNOSTICS keys = ROW_COUNT;
    -- The erasure locks a balance by creating it, so the row of an unknown user is its own.
    IF p_unused THEN
        DELETE FROM credits.balances b WHERE b.user_id = p_user_id AND b.version = 0;
    END IF;
    -- The chain's id stays, so that anchors of days before the erasure still match.
    UPDATE credits.balances b SET user_id = p_pseudonym, chain_salt = NULL, has_settings = NULL,
        next_expiry = NULL
        WHERE b.user_id = p_user_id;
    GET DIAGNOSTICS balances = ROW_COUNT;
END $$;
