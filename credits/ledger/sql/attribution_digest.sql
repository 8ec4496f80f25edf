-- Return the digest of the operation and price that were assigned to an old usage
-- (backfill_operations).
CREATE OR REPLACE FUNCTION credits.attribution_digest(entry credits.transactions)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(concat(
        encode(entry.digest, 'hex'), '|', octet_length(entry.operation), ':', entry.operation,
        '|', entry.unit_cost, '|', entry.quantity
    ), 'UTF8'))
$$;
