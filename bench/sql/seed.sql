-- Create :users users with credits. :user has 100 usages, so that pages of transactions are full.
-- The ledger's own function posts them, so that the books close.
CREATE FUNCTION pg_temp.post(user_id text, type text, amount numeric) RETURNS text
LANGUAGE sql AS $$
    SELECT outcome FROM credits.post_transaction(
        p_subject_id => gen_random_uuid(), p_user_id => user_id, p_type => type,
        p_amount => amount, p_counts_as => CASE type WHEN 'usage' THEN 'spent' ELSE 'earned' END,
        p_app_id => 'chat', p_description => 'GPT-4 message',
        p_metadata => '{"model": "gpt-4"}', p_actor => 'service');
$$;

SELECT count(pg_temp.post('user-' || i, 'grant', 1000000000)) FROM generate_series(1, :users) i;
SELECT count(pg_temp.post(':user', 'usage', -2)) FROM generate_series(1, 100) i;
