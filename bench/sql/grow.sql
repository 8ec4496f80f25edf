-- Add :each usages to each user WHERE :users, spread over the past year, in time order. The rows
-- are inserted directly, because the function is slower. The books still close.
CREATE TEMP TABLE added ON COMMIT DROP AS
SELECT b.user_id, n, b.last_number + n AS number, b.posted - 2 * (n - 1) AS balance_before,
       date_trunc('milliseconds', now() - interval '1 year' * (:each - n + 1) / :each) AS at
FROM credits.balances b, generate_series(1, :each) n WHERE :users;

INSERT INTO credits.transactions (
    id, user_id, number, type, amount, balance_before, balance_after, spent_change, app_id,
    description, metadata, actor, request_id, created_at)
SELECT encode(  -- UUIDs that sort by time, as the service makes them
           set_bit(set_bit(
               overlay(uuid_send(gen_random_uuid())
                       placing substring(int8send((extract(epoch FROM at) * 1000)::bigint) FROM 3)
                       FROM 1 FOR 6),
               52, 1), 53, 1), 'hex')::uuid,
       user_id, number, 'usage', -2, balance_before, balance_before - 2, 2, 'chat',
       'GPT-4 message', '{"model": "gpt-4"}', 'service', replace(gen_random_uuid()::text, '-', ''),
       at
-- Users take turns in a random order, as in production. Rows of one user that lie together would
-- make pages of transactions too fast.
FROM added ORDER BY n, hashtext(user_id);

INSERT INTO credits.usage_stats (user_id, date, app_id, credits_used, transactions)
SELECT user_id, (at AT TIME ZONE 'UTC')::date, 'chat', 2 * count(*), count(*)
FROM added GROUP BY 1, 2
ON CONFLICT (user_id, date, app_id) DO UPDATE SET
    credits_used = credits.usage_stats.credits_used + excluded.credits_used,
    transactions = credits.usage_stats.transactions + excluded.transactions;

UPDATE credits.balances SET
    posted = posted - 2 * :each, total_spent = total_spent + 2 * :each,
    last_number = last_number + :each, version = version + :each,
    last_digest = (
        SELECT digest FROM credits.transactions t
        WHERE t.user_id = balances.user_id AND t.number = balances.last_number + :each)
WHERE :users;
