-- Return the digest of a transaction. It covers the previous digest in its user's chain, the digest
-- of its texts, and every value that an erasure leaves unchanged. See
-- docs/decisions/0090-the-chain-of-digests.md.
--
-- Never change what is digested: all existing transactions were digested in this form. Amounts
-- have the 4 places of their columns, timestamps are UTC in microseconds, each text comes with its
-- length in bytes, and NULL is empty, so no two rows read the same in any session.
--
-- An erasure keeps a cause that is made of ids, so it is included. An operation that was assigned
-- to a usage later has a digest of its own (credits.attribution_digest).
CREATE OR REPLACE FUNCTION credits.transaction_digest(
    entry credits.transactions, previous bytea, chain_id uuid, texts bytea
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(concat(
        encode(previous, 'hex'), '|', chain_id, '|', encode(texts, 'hex'),
        '|', entry.id, '|', entry.number, '|', octet_length(entry.type), ':', entry.type,
        '|', entry.amount, '|', entry.balance_before, '|', entry.balance_after,
        '|', entry.spent_change,
        '|', CASE WHEN entry.attribution_digest IS NULL THEN octet_length(entry.operation) END,
        ':', CASE WHEN entry.attribution_digest IS NULL THEN entry.operation END,
        '|', CASE WHEN entry.attribution_digest IS NULL THEN entry.unit_cost END,
        '|', CASE WHEN entry.attribution_digest IS NULL THEN entry.quantity END,
        '|', octet_length(entry.app_id), ':', entry.app_id,
        '|', octet_length(entry.actor), ':', entry.actor,
        '|', CASE WHEN credits.is_impersonal(entry.cause) THEN entry.cause END,
        '|', entry.related_id,
        '|', to_char(entry.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        '|', to_char(entry.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        '|' || entry.metering::text  -- null, so empty, for rows without units
    ), 'UTF8'))
$$;
