-- Return the price of a metering: its units times their costs per 1,000, rounded up once to 4
-- decimal places, and at least its minimum. Null if a unit has no cost.
--
-- A metering is an object of units, unitCosts, minimum, mayOverdraw and version. Its costs are
-- texts, because a JSON parser may read a number as a double.
CREATE OR REPLACE FUNCTION credits.metered_price(p_metering jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(
        -- Per 1,000 units, in steps of 0.0001 credits.
        round(ceil(sum(u.value::numeric * (p_metering -> 'unitCosts' ->> u.key)::numeric) * 10)
              / 10000, 4),
        coalesce((p_metering ->> 'minimum')::numeric, 0.0001))
    FROM jsonb_each_text(p_metering -> 'units') u
    HAVING bool_and(p_metering -> 'unitCosts' ? u.key)
$$;
