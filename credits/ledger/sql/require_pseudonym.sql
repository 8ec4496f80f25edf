-- Raise unless p_pseudonym may replace a person's id: it is a pseudonym that no user has yet.
-- Otherwise the service's role could move rows to another account.
CREATE OR REPLACE FUNCTION credits.require_pseudonym(p_pseudonym text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_pseudonym !~ '^erased:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
       OR EXISTS (SELECT FROM credits.balances b WHERE b.user_id = p_pseudonym) THEN
        RAISE EXCEPTION 'an erasure needs a new pseudonym'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;
