-- Return whether a transaction belongs to an erased person and names nobody.
CREATE OR REPLACE FUNCTION credits.is_without_texts(entry credits.transactions)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT entry.user_id LIKE 'erased:%' AND entry.description = ''
        AND (entry.metadata, entry.request_id, entry.idempotency_key)
            IS NOT DISTINCT FROM (NULL::jsonb, NULL::text, NULL::text)
        AND (entry.cause IS NULL OR credits.is_impersonal(entry.cause)
             OR entry.cause = 'erased:' || entry.id)
$$;
