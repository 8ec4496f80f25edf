-- Delete a person's lots and what took from them; return their number. Nobody spends the credits of
-- an erased person, so they do not expire any more. credits.erase_balance forgets their next
-- expiry.
CREATE OR REPLACE FUNCTION credits.erase_lots(p_user_id text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    uses integer;
    lots integer;
BEGIN
    DELETE FROM credits.lot_uses u WHERE u.user_id = p_user_id;
    GET DIAGNOSTICS uses = ROW_COUNT;
    DELETE FROM credits.credit_lots l WHERE l.user_id = p_user_id;
    GET DIAGNOSTICS lots = ROW_COUNT;
    RETURN uses + lots;
END $$;
