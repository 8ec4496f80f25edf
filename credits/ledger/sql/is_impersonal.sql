-- Return whether a cause consists of ids of rows or of Stripe's. All others may name the user. NULL
-- for no cause. Digests depend on the result, so it must not change for a kind of cause in use.
CREATE OR REPLACE FUNCTION credits.is_impersonal(cause text)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT cause ~
        '^(purchase|reservation|gift|gift-created|reversal|reinstatement|refund|dispute|expiry):'
$$;
