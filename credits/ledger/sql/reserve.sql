-- Reserve credits: write the reservation and increase the held credits, both or neither. A null
-- p_amount means the current price of p_quantity, or of p_units, of p_operation. outcome, balance,
-- required and reached are those of credits.post_transaction.
CREATE OR REPLACE FUNCTION credits.reserve(
    p_reservation_id uuid,
    p_user_id text,
    p_amount numeric,
    p_operation text,
    p_quantity integer,
    p_units jsonb,
    p_app_id text,
    p_reason text,
    p_ttl interval,
    p_actor text,
    p_request_id text,
    p_key text,
    p_fingerprint text,
    p_at timestamptz,
    OUT outcome text,
    OUT reservation credits.reservations,
    OUT balance credits.balances,
    OUT required numeric,
    OUT reached jsonb
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := coalesce(p_at, date_trunc('milliseconds', clock_timestamp()));
    held numeric := p_amount;
    unit_cost numeric;
    metering jsonb;
    refusal text;
    posting record;
BEGIN
    -- A refused price leaves `held` null: credits.post_transaction looks for a replay first.
    IF p_amount IS NULL THEN
        SELECT p.unit_cost, p.amount, p.metering, p.refusal INTO unit_cost, held, metering, refusal
            FROM credits.price(p_operation, p_quantity, p_units) p;
    END IF;
    posting := credits.post_transaction(
        p_subject_id => p_reservation_id, p_user_id => p_user_id, p_held => held,
        p_counts_as => 'spent', p_actor => p_actor, p_request_id => p_request_id, p_key => p_key,
        p_fingerprint => p_fingerprint, p_app_id => p_app_id, p_at => p_at);
    outcome := CASE posting.outcome
        WHEN 'unknown_operation' THEN refusal ELSE posting.outcome END;
    required := posting.required;
    reached := posting.reached;
    balance := posting.balance;
    IF outcome = 'posted' THEN
        INSERT INTO credits.reservations AS r (
            id, user_id, amount, operation, unit_cost, quantity, metering, app_id, reason, actor,
            request_id, created_at, expires_at, has_lots
        ) VALUES (
            p_reservation_id, p_user_id, held, p_operation, unit_cost, p_quantity, metering,
            p_app_id, p_reason, p_actor, p_request_id, now, now + p_ttl,
            -- Only reservations of users with lots settle lots later; the mark saves the others a
            -- look-up.
            CASE WHEN balance.next_expiry IS NOT NULL THEN true END
        ) RETURNING r.* INTO reservation;
        IF reservation.has_lots THEN
            balance := credits.take_lots(p_user_id, p_reservation_id, held);
        END IF;
    ELSIF outcome = 'replayed' THEN
        SELECT * INTO STRICT reservation FROM credits.reservations r
            WHERE r.user_id = p_user_id AND r.id = posting.subject_id;
    END IF;
END $$;
