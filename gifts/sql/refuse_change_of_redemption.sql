-- Redemptions are append-only. Erasure may replace the redeemer's id by a pseudonym.
CREATE OR REPLACE FUNCTION gifts.refuse_change_of_redemption() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.redeemer_id LIKE 'erased:%'
       AND (NEW.id, NEW.number, NEW.gift_code_id, NEW.transaction_id, NEW.source_app_id,
            NEW.created_at)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.number, OLD.gift_code_id, OLD.transaction_id, OLD.source_app_id,
            OLD.created_at)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'redemptions are append-only: % rejected', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE OR REPLACE TRIGGER gift_redemptions_are_append_only
    BEFORE UPDATE OR DELETE ON gifts.gift_redemptions
    FOR EACH ROW EXECUTE FUNCTION gifts.refuse_change_of_redemption();
