-- :users users with credits to spend; :user has 100 usages, so that pages of transactions are full.
-- Through the function that writes the ledger: the books close.
CREATE FUNCTION pg_temp.post(user_id text, type text, amount numeric) RETURNS credits.posting
LANGUAGE sql AS $$
    SELECT credits.post_transaction(
        gen_random_uuid(), user_id, type, amount, 0,
        CASE type WHEN 'usage' THEN 'spent' ELSE 'earned' END, false,
        'chat', 'GPT-4 message', '{"model": "gpt-4"}', 'service', NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL);
$$;

SELECT count(pg_temp.post('user-' || i, 'grant', 1000000000)) FROM generate_series(1, :users) i;
SELECT count(pg_temp.post(':user', 'usage', -2)) FROM generate_series(1, 100) i;
