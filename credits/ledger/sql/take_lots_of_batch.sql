-- Take the posted items of a batch of spends from their users' lots, each user's items in order.
-- The arrays are those of credits.spend_batch, which holds the locks on the balances.
CREATE OR REPLACE FUNCTION credits.take_lots_of_batch(
    p_outcomes text[], p_users text[], p_subjects uuid[], p_amounts numeric[], p_numbers bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT i.user_id, i.subject_id, i.amount
        FROM unnest(p_outcomes, p_users, p_subjects, p_amounts, p_numbers)
            AS i (outcome, user_id, subject_id, amount, number)
        JOIN credits.balances b ON b.user_id = i.user_id AND b.next_expiry IS NOT NULL
        WHERE i.outcome = 'posted'
        ORDER BY i.user_id, i.number
    LOOP
        PERFORM credits.take_lots(item.user_id, item.subject_id, item.amount);
    END LOOP;
END $$;
