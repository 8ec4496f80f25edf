-- A gift's credits, code and payment never change, and its status changes once. The credits
-- therefore arrive once, at the redeemer or back at the creator, because their transaction commits
-- together with the change of status. The expiry of an active gift may be extended. The single
-- exception is the erasure of a person's data, recognised by its shape: names and texts are
-- deleted, ids and e-mail addresses become pseudonyms, and no number, timestamp, status or
-- reference changes.
CREATE OR REPLACE FUNCTION gifts.refuse_change_of_gift() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
       AND (NEW.id, NEW.number, NEW.code, NEW.total_credits, NEW.type,
            NEW.payment_id, NEW.campaign_id, NEW.campaign_number, NEW.created_at)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.number, OLD.code, OLD.total_credits, OLD.type,
            OLD.payment_id, OLD.campaign_id, OLD.campaign_number, OLD.created_at)
    THEN
        IF (NEW.status, NEW.updated_at, NEW.expires_at)
               IS NOT DISTINCT FROM (OLD.status, OLD.updated_at, OLD.expires_at)
           AND (NEW.creator_id = OLD.creator_id OR NEW.creator_id LIKE 'erased:%')
           AND (NEW.target_email IS NOT DISTINCT FROM OLD.target_email
                OR NEW.target_email LIKE 'erased:%')
           AND (NEW.creator_name IS NULL OR NEW.creator_name = OLD.creator_name)
           AND (NEW.message IS NULL OR NEW.message = OLD.message)
        THEN
            RETURN NEW;
        END IF;
        IF OLD.status = 'active'
           AND (NEW.expires_at = OLD.expires_at
                OR NEW.status = 'active' AND NEW.expires_at > OLD.expires_at)
           AND (NEW.creator_id, NEW.creator_name, NEW.target_email, NEW.message)
               IS NOT DISTINCT FROM
               (OLD.creator_id, OLD.creator_name, OLD.target_email, OLD.message)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'only the status of a gift may change, and only once: % rejected', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE OR REPLACE TRIGGER gift_final_states_are_final
    BEFORE UPDATE OR DELETE ON gifts.gift_codes
    FOR EACH ROW EXECUTE FUNCTION gifts.refuse_change_of_gift();
