-- Settle a reservation: commit it (all, p_amount of it, or the price of p_units), release it, or
-- expire it.
--
-- Lock order: the reservation first, the balance last. A reservation past expires_at expires here,
-- whatever was requested. If it was settled before in the requested way, this is a replay (a
-- metered commit: with the same units, because the amount also depends on the balance); otherwise
-- outcome is 'reservation_' and its status. The caller gives only the reservation's id, so the row
-- is found by the index on id, and the user id is read from it. outcome, balance, entry and
-- required are those of credits.post_transaction.
CREATE OR REPLACE FUNCTION credits.settle_reservation(
    p_reservation_id uuid,
    p_status text,
    p_amount numeric,
    p_units jsonb,
    p_transaction_id uuid,
    p_description text,
    p_actor text,
    p_request_id text,
    p_key text,
    p_fingerprint text,
    p_at timestamptz,
    OUT outcome text,
    OUT reservation credits.reservations,
    OUT balance credits.balances,
    OUT entry credits.transactions,
    OUT required numeric
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := coalesce(p_at, date_trunc('milliseconds', clock_timestamp()));
    owner text;
    posting record;
    expires boolean;
    taken numeric;
    metering jsonb;
    refusal text;
BEGIN
    -- On shards a row can be locked only by a statement that names its user. An erasure in between
    -- renames the user, so the row is looked for again.
    LOOP
        SELECT r.user_id INTO owner FROM credits.reservations r WHERE r.id = p_reservation_id;
        IF NOT FOUND THEN
            outcome := 'reservation_not_found';
            RETURN;
        END IF;
        SELECT * INTO reservation FROM credits.reservations r
            WHERE r.user_id = owner AND r.id = p_reservation_id FOR UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    taken := coalesce(p_amount, reservation.amount);

    IF reservation.status <> 'open' THEN
        -- The comparison with the first request. Without an amount, the whole hold was meant.
        IF reservation.status = p_status
           AND (p_status <> 'committed' OR CASE WHEN reservation.metering IS NULL
                THEN p_units IS NULL AND reservation.committed_amount = taken
                ELSE p_amount IS NULL AND coalesce(p_units, reservation.metering -> 'units') = (
                    SELECT t.metering -> 'units' FROM credits.transactions t
                    WHERE t.user_id = reservation.user_id AND t.id = reservation.transaction_id)
                END) THEN
            SELECT * INTO balance FROM credits.balances b WHERE b.user_id = reservation.user_id;
            SELECT * INTO entry FROM credits.transactions t
                WHERE t.user_id = reservation.user_id AND t.id = reservation.transaction_id;
            outcome := 'replayed';
        ELSE
            outcome := 'reservation_' || reservation.status;
        END IF;
        RETURN;
    END IF;

    -- The worker may be late. The first call after the time expires the reservation.
    expires := reservation.expires_at <= now;
    IF p_status = 'expired' AND NOT expires THEN
        outcome := 'reservation_open';
        RETURN;
    ELSIF p_status = 'committed' AND NOT expires THEN
        -- Credits may expire between the price and the posting. The price of units then depends on
        -- what is available now. Each further round needs another expiry in the meantime. The limit
        -- bounds the time for which the lock is held.
        FOR attempt IN 1..10 LOOP
            IF reservation.metering IS NOT NULL OR p_units IS NOT NULL THEN
                SELECT c.taken, c.metering, c.refusal INTO taken, metering, refusal
                    FROM credits.metered_commit(reservation, p_amount, p_units, now) c;
            ELSIF taken > reservation.amount THEN
                refusal := 'exceeds_reservation';
            END IF;
            IF refusal IS NOT NULL THEN
                outcome := refusal;
                RETURN;
            END IF;
            posting := credits.post_transaction(
                p_subject_id => p_transaction_id, p_user_id => reservation.user_id,
                p_type => 'usage', p_amount => -taken, p_held => -reservation.amount,
                p_counts_as => 'spent',
                p_may_overdraw => coalesce((metering ->> 'mayOverdraw')::boolean, false),
                p_app_id => reservation.app_id,
                p_description => coalesce(p_description, reservation.reason),
                p_metadata => jsonb_build_object('reservationId', reservation.id),
                p_actor => p_actor, p_request_id => p_request_id, p_key => p_key,
                p_fingerprint => p_fingerprint, p_cause => 'reservation:' || reservation.id,
                p_at => p_at, p_operation => reservation.operation,
                p_unit_cost => reservation.unit_cost, p_quantity => reservation.quantity,
                p_metering => metering);
            EXIT WHEN metering IS NULL OR posting.outcome <> 'insufficient_credits';
        END LOOP;
    ELSE
        posting := credits.post_transaction(
            p_subject_id => reservation.id, p_user_id => reservation.user_id,
            p_held => -reservation.amount, p_counts_as => 'spent',
            p_actor => p_actor, p_request_id => p_request_id,
            -- The key's request was not carried out if the reservation expires instead.
            p_key => CASE WHEN NOT expires THEN p_key END, p_fingerprint => p_fingerprint,
            p_at => p_at);
    END IF;
    IF posting.outcome <> 'posted' THEN
        outcome := posting.outcome;
        RETURN;
    END IF;

    entry := posting.entry;
    balance := posting.balance;
    UPDATE credits.reservations r SET
        status = CASE WHEN expires THEN 'expired' ELSE p_status END,
        committed_amount = -entry.amount,
        transaction_id = entry.id,
        -- After the locks, as the transaction: a month must not have both or neither.
        settled_at = coalesce(entry.created_at, balance.updated_at)
        WHERE r.user_id = reservation.user_id AND r.id = reservation.id
        RETURNING r.* INTO reservation;
    IF reservation.has_lots THEN
        balance := credits.settle_lots(
            reservation.user_id, reservation.id, entry.id, -entry.amount, now);
    END IF;
    outcome := CASE WHEN expires AND p_status <> 'expired'
        THEN 'reservation_expired' ELSE 'posted' END;
END $$;
