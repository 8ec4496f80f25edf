-- Back to what 0002_final.sql says.
CREATE OR REPLACE FUNCTION gifts.refuse_change_of_gift() RETURNS trigger
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
