-- The users and their differences. Runs after the entries of all apps are known.

-- If a movement with the same cause was posted here since the last import, it keeps the cause, and
-- the source's entry is imported without one. Both are reported as a double credit.
CREATE TEMP TABLE legacy_conflicts AS
SELECT e.id, e.cause, e.made
FROM legacy_entries e JOIN credits.transactions t ON t.cause = e.cause AND t.id <> e.id;

UPDATE legacy_entries e SET here = true FROM credits.transactions t WHERE t.id = e.id;
DELETE FROM legacy_entries WHERE id IN (SELECT id FROM legacy_conflicts WHERE made);
UPDATE legacy_entries e SET cause = NULL, related_id = NULL
FROM legacy_conflicts c WHERE c.id = e.id;

INSERT INTO legacy_findings (kind, user_id, row_id, sentence)
SELECT 'double credit', e.user_id, e.id,
       format('%s credits were moved for %s there, and were here', e.amount::bigint, c.cause)
FROM legacy_conflicts c JOIN legacy_entries e USING (id);


CREATE TEMP TABLE legacy_users AS
SELECT user_id,
       row_number() OVER (ORDER BY user_id COLLATE "C") AS position,
       coalesce(b.user_id, e.user_id, r.user_id) IS NOT NULL AS has_balance,
       coalesce(b.balance, 0)::numeric AS balance,
       coalesce(e.rows, 0) AS rows, coalesce(e.made, 0) AS made, coalesce(r.open, 0) AS open,
       coalesce(b.total_earned, 0) AS total_earned, coalesce(b.total_spent, 0) AS total_spent,
       coalesce(e.earned, 0) AS earned, coalesce(e.spent, 0) AS spent,
       coalesce(e.entries, 0) AS entries,
       coalesce(b.created_at, e.first_at, r.first_at) AS created_at,
       coalesce(b.updated_at, e.last_at, r.first_at) AS updated_at
FROM legacy_balances b
FULL JOIN (
    SELECT user_id, count(*) AS entries,
           coalesce(sum(amount) FILTER (WHERE NOT made), 0) AS rows,
           coalesce(sum(amount) FILTER (WHERE made), 0) AS made,
           coalesce(sum(amount) FILTER (WHERE NOT made AND amount > 0), 0) AS earned,
           coalesce(-sum(amount) FILTER (WHERE NOT made AND amount < 0), 0) AS spent,
           min(created_at) AS first_at, max(created_at) AS last_at
    FROM legacy_entries GROUP BY user_id
) e USING (user_id)
FULL JOIN (
    SELECT user_id, sum(amount) AS open, min(created_at) AS first_at
    FROM legacy_reservations WHERE status = 'reserved' GROUP BY user_id
) r USING (user_id)
FULL JOIN (
    SELECT user_id FROM legacy_purchases
    UNION SELECT user_id FROM legacy_stripe_customers
    UNION SELECT user_id FROM legacy_sync_subscriptions
) others USING (user_id);

CREATE UNIQUE INDEX ON legacy_users (position);
CREATE UNIQUE INDEX ON legacy_users (user_id);
CREATE INDEX ON legacy_reservations (user_id);
CREATE INDEX ON legacy_purchases (user_id);
CREATE INDEX ON legacy_sync_subscriptions (user_id);
ANALYZE legacy_users;
ANALYZE legacy_reservations;

INSERT INTO legacy_findings
SELECT 'difference', user_id, NULL,
       format('the balance is %s; %s of transactions less %s of open reservations make %s%s',
              balance::bigint, rows::bigint, open::bigint, (rows - open)::bigint,
              CASE WHEN made <> 0 THEN
                  format(', entries that were missing %s', made::bigint) ELSE '' END),
       balance, rows, open, balance + open - rows - made
FROM legacy_users WHERE balance + open <> rows + made;

INSERT INTO legacy_findings (kind, user_id, sentence)
SELECT 'totals', user_id,
       format('earned %s and spent %s, the transactions say %s and %s',
              total_earned, total_spent, earned::bigint, spent::bigint)
FROM legacy_users WHERE (total_earned, total_spent) <> (earned, spent);


-- Ids that `credits.labels` rejects: a control character anywhere, or a blank or an invisible
-- character at an end. Blanks are listed, as PostgreSQL's own class depends on the database's
-- locale.
INSERT INTO legacy_findings (kind, user_id, sentence)
WITH characters AS (
    SELECT U&'\0001-\001f\007f-\009f' AS controls,
           U&'\0020\00a0\00ad\034f\061c\115f\1160\1680\17b4\17b5\180b-\180f\2000-\200f\2028-\202f'
                '\205f-\206f\2800\3000\3164\feff\ffa0\fff9-\fffb'
               AS "outer"
)
SELECT 'user id', user_id, 'the id has control characters, or blanks or invisible characters at an '
       'end; it is imported, and no request can name it'
FROM legacy_users, characters
WHERE user_id ~ format('[%s]|^[%s]|[%s]$', controls, "outer", "outer");

-- post.sql fills this table again for each batch.
CREATE TEMP TABLE legacy_new (LIKE legacy_entries);
ALTER TABLE legacy_new ADD opening boolean NOT NULL DEFAULT false;
