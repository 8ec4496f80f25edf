-- Move a user's balance and write the transaction: both or neither, in one round trip.
--
-- p_amount is the signed change of the posted balance, p_held that of the held credits. With
-- p_amount 0 no transaction is written; with both 0 only the balance row is created and the key
-- recorded. p_operation, p_unit_cost and p_quantity, or p_metering, describe what the amount pays
-- for. A null p_amount means the current price of p_quantity, or of the units in p_metering, of the
-- operation; a null p_held means that a price was not found. p_counts_as is the lifetime total that
-- the amount changes: 'spent' (spends and their refunds) or 'earned'. A total never goes below
-- zero: the excess counts in the other total. p_fingerprint must be equal in a replay of p_key.
-- p_expires_at is when credits that are given expire.
--
-- outcome: 'posted', 'replayed', or the code of the error, in which case nothing was moved.
-- required: with 'insufficient_credits', the credits that were needed. subject_id: the id recorded
-- with the key. reached: with 'spending_limit_reached', the limit (credits.reached_limit).
--
-- The balance row is locked first. Under READ COMMITTED every later statement then sees the newest
-- rows, so replays, missing funds and success need no retry. A replay is looked up before a missing
-- price is reported, so that it is answered even if the operation was withdrawn since.
CREATE OR REPLACE FUNCTION credits.post_transaction(
    p_subject_id uuid,
    p_user_id text,
    p_actor text,
    p_type text DEFAULT NULL,
    p_amount numeric DEFAULT 0,
    p_held numeric DEFAULT 0,
    p_counts_as text DEFAULT 'earned',
    p_may_overdraw boolean DEFAULT false,
    p_app_id text DEFAULT NULL,
    p_description text DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL,
    p_request_id text DEFAULT NULL,
    p_key text DEFAULT NULL,
    p_fingerprint text DEFAULT NULL,
    p_cause text DEFAULT NULL,
    p_related_id uuid DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL,
    p_at timestamptz DEFAULT NULL,
    p_operation text DEFAULT NULL,
    p_unit_cost numeric DEFAULT NULL,
    p_quantity integer DEFAULT NULL,
    p_metering jsonb DEFAULT NULL,
    OUT outcome text,
    OUT entry credits.transactions,
    OUT balance credits.balances,
    OUT subject_id uuid,
    OUT required numeric,
    OUT reached jsonb
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    largest CONSTANT numeric := 99999999999.9999;  -- 15 digits, 4 decimal places
    change numeric := p_amount;
    unit_cost numeric := p_unit_cost;
    metering jsonb := p_metering;
    refusal text;
    available_change numeric;
    spent_change numeric;
    known_fingerprint text;
    original credits.transactions;
    now timestamptz;
BEGIN
    -- The lock on this row serialises all movements of the user, and protects the user's lots, too.
    SELECT * INTO balance FROM credits.balances b WHERE b.user_id = p_user_id FOR UPDATE;
    -- After the lock, so that the times of the database's clock have the order of the numbers.
    -- Clients show milliseconds, so no more are stored.
    now := coalesce(p_at, date_trunc('milliseconds', clock_timestamp()));
    IF p_amount IS NULL THEN
        SELECT p.unit_cost, -p.amount, p.metering, p.refusal
            INTO unit_cost, change, metering, refusal
            FROM credits.price(p_operation, p_quantity, p_metering -> 'units') p;
    END IF;
    available_change := change - p_held;

    IF balance.user_id IS NULL THEN
        -- Refused before the INSERT, so that a refusal leaves no row of an unknown user.
        IF p_type = 'refund' THEN
            outcome := 'user_not_found';
            RETURN;
        ELSIF available_change IS NULL THEN
            outcome := coalesce(refusal, 'unknown_operation');
            RETURN;
        ELSIF available_change < 0 AND NOT p_may_overdraw THEN
            outcome := 'insufficient_credits';
            required := -available_change;
            RETURN;
        ELSIF p_expires_at <= now THEN
            outcome := 'invalid_credit_expiry';
            RETURN;
        END IF;
        -- A concurrent call may create the row first, and an erasure rename it again. Each further
        -- round needs another erasure of the user.
        LOOP
            INSERT INTO credits.balances (user_id, created_at, updated_at)
                VALUES (p_user_id, now, now) ON CONFLICT DO NOTHING;
            SELECT * INTO balance FROM credits.balances b WHERE b.user_id = p_user_id FOR UPDATE;
            EXIT WHEN FOUND;
        END LOOP;
    END IF;
    -- The amount of a claw-back was computed from what has expired, so nothing more may expire
    -- first.
    IF balance.next_expiry IS NOT NULL AND balance.next_expiry <= greatest(now, clock_timestamp())
       AND p_type IS DISTINCT FROM 'clawback' THEN
        balance := credits.expire_lots(p_user_id, now);
    END IF;

    IF p_key IS NOT NULL THEN
        SELECT k.fingerprint, k.subject_id INTO known_fingerprint, subject_id
            FROM credits.idempotency_keys k WHERE k.user_id = p_user_id AND k.key = p_key;
        IF FOUND THEN
            IF known_fingerprint = p_fingerprint THEN
                SELECT * INTO entry FROM credits.transactions t
                    WHERE t.user_id = p_user_id AND t.id = subject_id;
                outcome := 'replayed';
            ELSE
                outcome := 'idempotency_key_reused';
            END IF;
            RETURN;
        END IF;
    END IF;

    -- After the key: a known key with another request is an error even if the cause was posted.
    IF p_cause IS NOT NULL THEN
        SELECT * INTO entry FROM credits.transactions t
            WHERE t.user_id = p_user_id AND t.cause = p_cause;
        IF FOUND THEN
            outcome := 'replayed';
            RETURN;
        END IF;
    END IF;

    IF available_change IS NULL THEN
        outcome := coalesce(refusal, 'unknown_operation');
        RETURN;
    ELSIF p_expires_at <= now THEN
        outcome := 'invalid_credit_expiry';
        RETURN;
    END IF;

    IF p_related_id IS NOT NULL THEN
        SELECT * INTO original FROM credits.transactions t
            WHERE t.user_id = p_user_id AND t.id = p_related_id
              AND (p_type <> 'refund' OR t.type = 'usage');
        IF NOT FOUND THEN
            outcome := 'transaction_not_found';
            RETURN;
        END IF;
        -- The balance's lock keeps another refund of the same original from being added meanwhile.
        IF sign(change) = sign(original.amount) OR abs(original.amount) < (
            SELECT abs(coalesce(sum(t.amount), 0) + change) FROM credits.transactions t
            WHERE t.user_id = p_user_id AND t.related_id = p_related_id
        ) THEN
            outcome := 'exceeds_original';
            RETURN;
        END IF;
    END IF;

    IF available_change < 0 AND NOT p_may_overdraw
       AND balance.posted - balance.held + available_change < 0 THEN
        outcome := 'insufficient_credits';
        required := -available_change;
        RETURN;
    END IF;

    -- Only a usage or a hold takes available credits with this type.
    IF balance.has_settings AND available_change < 0 AND coalesce(p_type, 'usage') = 'usage' THEN
        reached := credits.reached_limit(
            credits.month_spending(p_user_id, now), p_app_id, -available_change);
        IF reached IS NOT NULL THEN
            PERFORM credits.note_limit(p_user_id, reached, now);
            outcome := 'spending_limit_reached';
            RETURN;
        END IF;
    END IF;

    -- Earned minus spent always changes by `change`. An excess that would take one total below zero
    -- counts in the other.
    IF p_counts_as = 'spent' THEN
        spent_change := greatest(-change, -balance.total_spent);
    ELSE
        spent_change := greatest(-change - balance.total_earned, 0);
    END IF;
    -- Checked here, because the columns would raise an error, which aborts the caller's
    -- transaction.
    IF abs(balance.posted + change) > largest OR balance.held + p_held > largest
       OR balance.total_spent + spent_change > largest
       OR balance.total_earned + change + spent_change > largest THEN
        outcome := 'balance_too_large';
        RETURN;
    END IF;

    -- After all checks: a refused request leaves its key unused, so it can be sent again.
    IF p_key IS NOT NULL THEN
        INSERT INTO credits.idempotency_keys (user_id, key, fingerprint, subject_id, created_at)
            VALUES (p_user_id, p_key, p_fingerprint, p_subject_id, now);
    END IF;

    outcome := 'posted';
    IF change = 0 AND p_held = 0 THEN
        RETURN;
    END IF;
    subject_id := p_subject_id;

    IF change <> 0 THEN
        entry.id := p_subject_id;
        entry.user_id := p_user_id;
        entry.number := balance.last_number + 1;
        entry.type := p_type;
        entry.amount := change;
        entry.balance_before := balance.posted;
        entry.balance_after := balance.posted + change;
        entry.spent_change := spent_change;
        entry.operation := p_operation;
        entry.unit_cost := unit_cost;
        entry.quantity := p_quantity;
        entry.metering := metering;
        entry.app_id := p_app_id;
        entry.description := p_description;
        entry.metadata := p_metadata;
        entry.actor := p_actor;
        entry.request_id := p_request_id;
        entry.idempotency_key := p_key;
        entry.cause := p_cause;
        entry.related_id := p_related_id;
        entry.created_at := now;
        -- As in credits.chain_transaction: a row must not join a day whose anchor was made before.
        entry.recorded_at := CASE WHEN p_at < clock_timestamp() - interval '1 hour'
            THEN clock_timestamp() END;
        entry.digest := credits.transaction_digest(
            entry, balance.last_digest, balance.chain_id,
            credits.texts_digest(entry, balance.chain_salt));
    END IF;

    UPDATE credits.balances b SET
        posted = b.posted + change,
        held = b.held + p_held,
        total_earned = b.total_earned + change + spent_change,
        total_spent = b.total_spent + spent_change,
        last_number = b.last_number + CASE WHEN change = 0 THEN 0 ELSE 1 END,
        last_digest = coalesce(entry.digest, b.last_digest),
        version = b.version + 1,
        updated_at = now
        WHERE b.user_id = p_user_id RETURNING b.* INTO balance;
    IF balance.has_settings AND change < 0 THEN
        PERFORM credits.note_crossing(balance, change, p_type, now);
    END IF;

    IF change <> 0 THEN
        INSERT INTO credits.transactions (
            id, user_id, number, type, amount, balance_before, balance_after, spent_change,
            app_id, description, metadata, actor, request_id, idempotency_key, cause, related_id,
            operation, unit_cost, quantity, metering, created_at, recorded_at, digest
        ) VALUES (
            entry.id, entry.user_id, entry.number, entry.type, entry.amount,
            entry.balance_before, entry.balance_after, entry.spent_change,
            entry.app_id, entry.description, entry.metadata, entry.actor, entry.request_id,
            entry.idempotency_key, entry.cause, entry.related_id,
            entry.operation, entry.unit_cost, entry.quantity, entry.metering, entry.created_at,
            entry.recorded_at, entry.digest
        );
    END IF;

    IF p_type = 'usage' THEN
        INSERT INTO credits.usage_stats AS s (user_id, date, app_id, credits_used, transactions)
            VALUES (p_user_id, (now AT TIME ZONE 'UTC')::date, p_app_id, -change, 1)
            ON CONFLICT (user_id, date, app_id) DO UPDATE SET
                credits_used = s.credits_used + excluded.credits_used,
                transactions = s.transactions + 1;
    END IF;

    IF change <> 0 AND (balance.next_expiry IS NOT NULL OR p_expires_at IS NOT NULL
                        OR p_related_id IS NOT NULL) THEN
        balance := credits.move_lots(balance, entry, original, available_change, p_expires_at);
    END IF;
END $$;
