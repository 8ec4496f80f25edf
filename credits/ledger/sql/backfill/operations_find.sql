-- Count the usages of %(users)s and their credits by the operation to attribute them to. The
-- mapping has the parallel arrays %(apps)s, %(descriptions)s (null: any), %(operations)s,
-- %(quantities)s. The first line that matches a usage applies. A line matches only if the amount
-- divided by the quantity has at most 4 decimal places.
SELECT operation, count(*), sum(-amount) FROM (
    SELECT DISTINCT ON (t.id) t.id, t.amount, m.operation
    FROM credits.transactions t
    JOIN unnest(%(apps)s::text[], %(descriptions)s::text[], %(operations)s::text[],
                %(quantities)s::integer[])
        WITH ORDINALITY m (app_id, description, operation, quantity, line)
        ON m.app_id = t.app_id AND coalesce(m.description, t.description) = t.description
       AND mod(-t.amount * 10000, m.quantity) = 0
    WHERE t.user_id = ANY(%(users)s) AND t.type = 'usage' AND t.operation IS NULL
    ORDER BY t.id, m.line
) attributed GROUP BY operation ORDER BY operation;
