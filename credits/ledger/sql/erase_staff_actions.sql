-- Blank the texts of operators' acts about a person, of searches that found the person, and of
-- searches for the person's e-mail addresses. Return their number. Actor, action and time stay.
CREATE OR REPLACE FUNCTION credits.erase_staff_actions(
    p_user_id text, p_pseudonym text, p_addresses text[]
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    blanked integer;
BEGIN
    PERFORM credits.require_pseudonym(p_pseudonym);
    UPDATE credits.staff_actions a SET
        user_id = CASE WHEN a.user_id = p_user_id THEN p_pseudonym ELSE a.user_id END,
        note = '', ticket = '', request_id = '', before = '{}', after = '{}'
        WHERE a.user_id = p_user_id OR strpos(a.note, p_user_id) > 0
           OR a.action = 'searched_accounts' AND (a.note = ANY (p_addresses) OR a.id IN (
               SELECT split_part(f.subject, ':', 2)::uuid FROM credits.staff_actions f
               WHERE f.user_id = p_user_id AND f.action = 'found_account' AND f.subject <> ''));
    GET DIAGNOSTICS blanked = ROW_COUNT;
    RETURN blanked;
END $$;
