-- What happened to a gift stays. Installed by the migration of the same number and frozen with it:
-- a later change is a new file with a new migration.

-- A gift's credits, code, payment and end are fixed when it is made, and a final state is final.
-- The single exception is the erasure of a person's data (credits.erasing = 'on'): names, texts and
-- addresses may change, but no number, time, state or link.
CREATE FUNCTION gifts.refuse_change_of_gift() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
       AND (NEW.id, NEW.number, NEW.code, NEW.total_credits, NEW.type, NEW.expires_at,
            NEW.payment_id, NEW.campaign_id, NEW.campaign_number, NEW.created_at)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.number, OLD.code, OLD.total_credits, OLD.type, OLD.expires_at,
            OLD.payment_id, OLD.campaign_id, OLD.campaign_number, OLD.created_at)
    THEN
        IF current_setting('credits.erasing', true) = 'on'
           AND (NEW.status, NEW.updated_at) IS NOT DISTINCT FROM (OLD.status, OLD.updated_at)
        THEN
            RETURN NEW;
        END IF;
        IF OLD.status = 'active'
           AND (NEW.creator_id, NEW.creator_name, NEW.target_email, NEW.message)
               IS NOT DISTINCT FROM
               (OLD.creator_id, OLD.creator_name, OLD.target_email, OLD.message)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a gift is fixed, and its final state is final: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER gift_final_states_are_final BEFORE UPDATE OR DELETE ON gifts.gift_codes
    FOR EACH ROW EXECUTE FUNCTION gifts.refuse_change_of_gift();


-- Redemptions are only added to; erasure may blank whose they are.
CREATE FUNCTION gifts.refuse_change_of_redemption() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('credits.erasing', true) = 'on'
       AND (NEW.id, NEW.number, NEW.gift_code_id, NEW.transaction_id, NEW.created_at)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.number, OLD.gift_code_id, OLD.transaction_id, OLD.created_at)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'redemptions are only added to: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER gift_redemptions_are_append_only BEFORE UPDATE OR DELETE ON gifts.gift_redemptions
    FOR EACH ROW EXECUTE FUNCTION gifts.refuse_change_of_redemption();

ALTER TABLE gifts.gift_codes SET (fillfactor = 80);
