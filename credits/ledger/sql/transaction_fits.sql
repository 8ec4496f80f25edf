-- Return whether a transaction matches its digest. `previous` is the digest before it in its user's
-- chain; chain_id and salt are those of the user's balance.
--
-- Only an erased person's row may lack its texts. It then has their digest.
CREATE OR REPLACE FUNCTION credits.transaction_fits(
    entry credits.transactions, previous bytea, chain_id uuid, salt uuid
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(entry.digest = credits.transaction_digest(
            entry, previous, chain_id,
            coalesce(entry.erased_digest, credits.texts_digest(entry, salt)))
        AND (entry.attribution_digest IS NULL
             OR entry.attribution_digest = credits.attribution_digest(entry))
        AND (entry.erased_digest IS NULL
             OR salt IS NULL AND credits.is_without_texts(entry)), false)
$$;
