-- Return the current price of p_quantity items of an operation: the number of started batches times the
-- cost of one. Returns nulls if the catalogue does not offer the operation.
CREATE OR REPLACE FUNCTION credits.price(
    p_operation text, p_quantity integer, OUT unit_cost numeric, OUT amount numeric
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- Integer division: a started batch is charged in full.
    SELECT o.cost, o.cost * ((p_quantity - 1) / coalesce(o.per_items, 1) + 1)
        INTO unit_cost, amount
        FROM credits.operations o WHERE o.key = p_operation AND o.active;
END $$;
