\set user random(1, :users)
SELECT (r.entry).*, (r.balance).* FROM credits.post_transaction(
    gen_random_uuid(), 'user-' || :user, 'usage', -2, 0, 'spent', false,
    'chat', 'GPT-4 message', '{"model": "gpt-4"}', 'service',
    '0123456789abcdef0123456789abcdef', NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL) r;
