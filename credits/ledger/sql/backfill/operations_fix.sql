-- Attribute usages to operations. The trigger allows this once per usage and no other change.
-- See docs/decisions/0051-old-usages-and-operations.md.

UPDATE credits.transactions t SET
    operation = a.operation, quantity = a.quantity, unit_cost = -t.amount / a.quantity
FROM (
    SELECT DISTINCT ON (t.id) t.user_id, t.id, m.operation, m.quantity
    FROM credits.transactions t
    JOIN unnest(%(apps)s::text[], %(descriptions)s::text[], %(operations)s::text[],
                %(quantities)s::integer[])
        WITH ORDINALITY m (app_id, description, operation, quantity, line)
        ON m.app_id = t.app_id AND coalesce(m.description, t.description) = t.description
       AND mod(-t.amount * 10000, m.quantity) = 0
    WHERE t.user_id = ANY(%(users)s) AND t.type = 'usage' AND t.operation IS NULL
    ORDER BY t.id, m.line
) a
WHERE t.user_id = a.user_id AND t.id = a.id AND t.user_id = ANY(%(users)s);
