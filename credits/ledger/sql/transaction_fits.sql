-- Tell whether a transaction is what its digest says, `previous` being the digest before it in the
-- chain of its user, and chain_id and salt those of the user's balance.
--
-- Only an erased person's row may be without its texts. It then has the digest that they had.
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
