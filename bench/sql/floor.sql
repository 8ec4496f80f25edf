\set user random(1, :users)
SELECT (r.entry).*, (r.balance).* FROM credits.post_transaction(
    p_subject_id => gen_random_uuid(), p_user_id => 'user-' || :user, p_type => 'usage',
    p_amount => -2, p_counts_as => 'spent', p_app_id => 'chat', p_description => 'GPT-4 message',
    p_metadata => '{"model": "gpt-4"}', p_actor => 'service',
    p_request_id => '0123456789abcdef0123456789abcdef') r;
