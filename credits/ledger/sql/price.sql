-- Return the current price of an operation: of p_quantity items, or of p_units (an object of unit
-- names and counts) if it is metered. A quantity costs its started batches times the cost of one.
-- unit_cost is the cost of one item or batch. metering is what a metered price was computed from
-- (credits.metered_price). refusal is the code of the error, and then amount is null.
CREATE OR REPLACE FUNCTION credits.price(
    p_operation text,
    p_quantity integer,
    p_units jsonb DEFAULT NULL,
    OUT unit_cost numeric,
    OUT amount numeric,
    OUT metering jsonb,
    OUT refusal text
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- Integer division: a started batch is charged in full.
    SELECT o.cost, o.cost * ((p_quantity - 1) / coalesce(o.per_items, 1) + 1),
           CASE WHEN o.metering IS NOT NULL THEN
               o.metering || jsonb_build_object('units', p_units, 'version', o.version) END
        INTO unit_cost, amount, metering
        FROM credits.operations o WHERE o.key = p_operation AND o.active;
    IF NOT FOUND THEN
        refusal := 'unknown_operation';
    ELSIF metering IS NULL THEN
        IF p_units IS NOT NULL THEN
            refusal := 'operation_not_metered';
            amount := NULL;
        END IF;
    ELSIF p_units IS NULL THEN
        refusal := 'units_required';
    ELSE
        amount := credits.metered_price(metering);
        IF amount IS NULL THEN
            refusal := 'unknown_unit';
        END IF;
    END IF;
END $$;
