-- Return the digest of everything that an erasure removes from a transaction: the user id and the
-- texts. Once the salt of the user's balance is deleted, the digest reveals nothing about them.
--
-- Never change what is digested: all existing transactions were digested in this form. Each text
-- comes with its length in bytes, and NULL without one, so no two rows read the same. No setting of
-- a session changes the text; jsonb has one order of keys.
CREATE OR REPLACE FUNCTION credits.texts_digest(entry credits.transactions, salt uuid)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(concat(
        salt, '|', entry.id,
        '|', octet_length(entry.user_id), ':', entry.user_id,
        '|', octet_length(entry.cause), ':', entry.cause,
        '|', octet_length(entry.description), ':', entry.description,
        '|', octet_length(entry.metadata::text), ':', entry.metadata,
        '|', octet_length(entry.request_id), ':', entry.request_id,
        '|', octet_length(entry.idempotency_key), ':', entry.idempotency_key
    ), 'UTF8'))
$$;
