-- Tell whether a cause is made of the ids of rows or of Stripe's; all others may name the user. NULL
-- for no cause. Digests depend on it: a kind of cause that has been posted never changes sides.
CREATE OR REPLACE FUNCTION credits.is_impersonal(cause text)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT cause ~
        '^(purchase|reservation|gift|gift-created|reversal|reinstatement|refund|dispute):'
$$;
