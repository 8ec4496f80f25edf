-- Return what the user spends in the UTC month of p_at, by each of the user's limits: an object
-- from the limit's app ('' is all apps) to [limit, spent]. Null if the user has no limit.
--
-- spent is the sum of the month's usages and of all open reservations, whenever these were made,
-- because a commit is a usage of the month in which it happens. Credits that were given back of a
-- usage of the same month are left out. The caller holds the lock on the balance, so that no other
-- movement is under way. Not STABLE: each statement must see the rows that were committed before
-- the lock was granted.
CREATE OR REPLACE FUNCTION credits.month_spending(p_user_id text, p_at timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    first_day CONSTANT date := date_trunc('month', p_at AT TIME ZONE 'UTC')::date;
    begins CONSTANT timestamptz := first_day::timestamp AT TIME ZONE 'UTC';
    ends CONSTANT timestamptz := (first_day + interval '1 month') AT TIME ZONE 'UTC';
    spending jsonb;
BEGIN
    SELECT jsonb_object_agg(l.app_id, jsonb_build_array(l.amount, (
        SELECT coalesce(sum(u.credits_used), 0) FROM credits.usage_stats u
        WHERE u.user_id = p_user_id AND u.app_id = coalesce(nullif(l.app_id, ''), u.app_id)
          AND u.date >= first_day AND u.date < ends AT TIME ZONE 'UTC'
    ) + (
        SELECT coalesce(sum(r.amount), 0) FROM credits.reservations r
        WHERE r.user_id = p_user_id AND r.app_id = coalesce(nullif(l.app_id, ''), r.app_id)
          AND r.status = 'open'
    ) - (
        -- OFFSET 0: the few refunds are read first, each with its usage, whatever the statistics
        -- say. What was given back and taken again by a reversal is spent.
        SELECT coalesce(sum(b.amount + (
            SELECT coalesce(sum(r.amount), 0) FROM credits.transactions r
            WHERE r.user_id = b.user_id AND r.related_id = b.id
        )), 0) FROM credits.transactions b
        CROSS JOIN LATERAL (
            SELECT FROM credits.transactions u
            WHERE u.user_id = b.user_id AND u.id = b.related_id AND u.type = 'usage'
              AND u.created_at >= begins AND u.created_at < ends
              AND u.app_id = coalesce(nullif(l.app_id, ''), u.app_id) OFFSET 0
        ) u
        WHERE b.user_id = p_user_id AND b.type IN ('refund', 'reversal')
          AND NOT (b.type = 'usage')  -- the condition of transaction_by_type_idx
          AND b.created_at >= begins AND b.created_at < ends
    )))
        INTO spending FROM credits.spending_limits l WHERE l.user_id = p_user_id;
    RETURN spending;
END $$;
