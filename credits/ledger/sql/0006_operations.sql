-- Spends and reservations by operation: the price is found here, at the moment of the movement, and
-- stays with the transaction. Frozen with its migration, as 0002_ledger.sql is, whose functions it
-- replaces.

DROP FUNCTION credits.settle_reservation;
DROP FUNCTION credits.reserve;
DROP TYPE credits.settlement;
DROP FUNCTION credits.post_transaction;
DROP TYPE credits.posting;


-- History is only added to, for every role, also one that replays a replication stream (ALWAYS).
-- The single exception is the erasure of a person's data: with credits.erasing = 'on' names and
-- texts may change, but no number, time, type or link.
CREATE OR REPLACE FUNCTION credits.refuse_change_of_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('credits.erasing', true) = 'on'
       AND (NEW.id, NEW.number, NEW.type, NEW.amount, NEW.balance_before, NEW.balance_after,
            NEW.spent_change, NEW.created_at, NEW.related_id,
            NEW.operation, NEW.unit_cost, NEW.quantity)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.number, OLD.type, OLD.amount, OLD.balance_before, OLD.balance_after,
            OLD.spent_change, OLD.created_at, OLD.related_id,
            OLD.operation, OLD.unit_cost, OLD.quantity)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'transactions are only added to: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- What p_quantity of an operation costs now: started batches times the cost of one. Nulls when it is
-- not on offer.
CREATE FUNCTION credits.price(
    p_operation text, p_quantity integer, OUT unit_cost numeric, OUT amount numeric
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT o.cost, o.cost * ((p_quantity - 1) / coalesce(o.per_items, 1) + 1)
        INTO unit_cost, amount
        FROM credits.operations o WHERE o.key = p_operation AND o.active;
END $$;


-- What a movement came to. outcome: posted, replayed, or why nothing moved.
-- subject_id: the row that the idempotency key stands for. required: what the available credits did
-- not suffice for.
CREATE TYPE credits.posting AS (
    outcome text,
    entry credits.transactions,
    balance credits.balances,
    subject_id uuid,
    required numeric
);


-- Move a user's balance and write the transaction: both or neither, in one round trip.
--
-- p_amount is the signed movement of the posted balance, p_held that of the held credits; with
-- p_amount 0 no transaction is written, with both 0 only the balance row and the key are made sure
-- of.
-- p_operation, p_unit_cost and p_quantity say what the amount pays for. A null p_amount is the price
-- of so much of the operation at this moment; a null p_held one that was asked for and not found.
-- A replay comes before a missing price: it answers as it did, whatever became of the operation.
-- p_side says which lifetime total answers for it: 'spent' (spends, and what gives them back) or
-- 'earned'. A total never goes below zero: what exceeds it counts on the other side.
-- The balance row is locked first, so every later statement sees the newest rows (READ COMMITTED)
-- and replay, missing funds and success are plain IFs.
CREATE FUNCTION credits.post_transaction(
    p_subject_id uuid,
    p_user_id text,
    p_type text,
    p_amount numeric,
    p_held numeric,
    p_side text,
    p_may_overdraw boolean,
    p_app_id text,
    p_description text,
    p_metadata jsonb,
    p_actor text,
    p_request_id text,
    p_key text,
    p_request text,
    p_cause text,
    p_related_id uuid,
    p_at timestamptz,
    p_operation text DEFAULT NULL,
    p_unit_cost numeric DEFAULT NULL,
    p_quantity integer DEFAULT NULL
) RETURNS credits.posting
LANGUAGE plpgsql AS $$
DECLARE
    largest CONSTANT numeric := 99999999999.9999;
    change numeric := p_amount;
    unit_cost numeric := p_unit_cost;
    available_change numeric;
    spent_change numeric;
    known_request text;
    origin credits.transactions;
    result credits.posting;
    balance credits.balances;
    entry credits.transactions;
    now timestamptz;
BEGIN
    SELECT * INTO balance FROM credits.balances WHERE user_id = p_user_id FOR UPDATE;
    now := coalesce(p_at, date_trunc('milliseconds', clock_timestamp()));
    IF p_amount IS NULL THEN
        SELECT p.unit_cost, -p.amount INTO unit_cost, change
            FROM credits.price(p_operation, p_quantity) p;
    END IF;
    available_change := change - p_held;

    IF balance.user_id IS NULL THEN
        IF p_type = 'refund' THEN
            result.outcome := 'unknown_user';
            RETURN result;
        ELSIF available_change IS NULL THEN
            result.outcome := 'unknown_operation';
            RETURN result;
        ELSIF available_change < 0 AND NOT p_may_overdraw THEN
            result.outcome := 'insufficient_credits';
            result.required := -available_change;
            RETURN result;
        END IF;
        INSERT INTO credits.balances (user_id, created_at, updated_at)
            VALUES (p_user_id, now, now) ON CONFLICT DO NOTHING;
        SELECT * INTO STRICT balance FROM credits.balances WHERE user_id = p_user_id FOR UPDATE;
    END IF;
    result.balance := balance;

    IF p_key IS NOT NULL THEN
        SELECT k.request, k.subject_id INTO known_request, result.subject_id
            FROM credits.idempotency_keys k WHERE k.user_id = p_user_id AND k.key = p_key;
        IF FOUND THEN
            IF known_request = p_request THEN
                SELECT * INTO entry FROM credits.transactions WHERE id = result.subject_id;
                result.entry := entry;
                result.outcome := 'replayed';
            ELSE
                result.outcome := 'idempotency_key_reused';
            END IF;
            RETURN result;
        END IF;
    END IF;

    IF p_cause IS NOT NULL THEN
        SELECT * INTO entry FROM credits.transactions
            WHERE cause = p_cause AND user_id = p_user_id;
        IF FOUND THEN
            result.entry := entry;
            result.outcome := 'replayed';
            RETURN result;
        END IF;
    END IF;

    IF available_change IS NULL THEN
        result.outcome := 'unknown_operation';
        RETURN result;
    END IF;

    IF p_related_id IS NOT NULL THEN
        SELECT * INTO origin FROM credits.transactions
            WHERE id = p_related_id AND user_id = p_user_id
              AND (p_type <> 'refund' OR type = 'usage');
        IF NOT FOUND THEN
            result.outcome := 'unknown_transaction';
            RETURN result;
        END IF;
        IF sign(change) = sign(origin.amount) OR abs(origin.amount) < (
            SELECT abs(coalesce(sum(amount), 0) + change) FROM credits.transactions
            WHERE related_id = p_related_id
        ) THEN
            result.outcome := 'exceeds_original';
            RETURN result;
        END IF;
    END IF;

    IF available_change < 0 AND NOT p_may_overdraw
       AND balance.posted - balance.held + available_change < 0 THEN
        result.outcome := 'insufficient_credits';
        result.required := -available_change;
        RETURN result;
    END IF;

    IF p_side = 'spent' THEN
        spent_change := greatest(-change, -balance.total_spent);
    ELSE
        spent_change := greatest(-change - balance.total_earned, 0);
    END IF;
    IF abs(balance.posted + change) > largest OR balance.held + p_held > largest
       OR balance.total_spent + spent_change > largest
       OR balance.total_earned + change + spent_change > largest THEN
        result.outcome := 'balance_too_large';
        RETURN result;
    END IF;

    IF p_key IS NOT NULL THEN
        INSERT INTO credits.idempotency_keys (user_id, key, request, subject_id, created_at)
            VALUES (p_user_id, p_key, p_request, p_subject_id, now);
    END IF;

    IF change = 0 AND p_held = 0 THEN
        result.outcome := 'posted';
        RETURN result;
    END IF;

    UPDATE credits.balances SET
        posted = posted + change,
        held = held + p_held,
        total_earned = total_earned + change + spent_change,
        total_spent = total_spent + spent_change,
        last_number = last_number + CASE WHEN change = 0 THEN 0 ELSE 1 END,
        version = version + 1,
        updated_at = now
        WHERE user_id = p_user_id RETURNING * INTO balance;

    IF change <> 0 THEN
        INSERT INTO credits.transactions (
            id, user_id, number, type, amount, balance_before, balance_after, spent_change,
            app_id, description, metadata, actor, request_id, idempotency_key, cause, related_id,
            operation, unit_cost, quantity, created_at
        ) VALUES (
            p_subject_id, p_user_id, balance.last_number, p_type, change,
            balance.posted - change, balance.posted, spent_change,
            p_app_id, p_description, p_metadata, p_actor, p_request_id, p_key, p_cause,
            p_related_id, p_operation, unit_cost, p_quantity, now
        ) RETURNING * INTO entry;
        result.entry := entry;
    END IF;

    IF p_type = 'usage' THEN
        INSERT INTO credits.usage_stats (user_id, date, app_id, credits_used, transactions)
            VALUES (p_user_id, (now AT TIME ZONE 'UTC')::date, p_app_id, -change, 1)
            ON CONFLICT (user_id, date, app_id) DO UPDATE SET
                credits_used = credits.usage_stats.credits_used + excluded.credits_used,
                transactions = credits.usage_stats.transactions + 1;
    END IF;

    result.outcome := 'posted';
    result.balance := balance;
    result.subject_id := p_subject_id;
    RETURN result;
END $$;


-- What a step of a reservation came to; balance and entry as in credits.posting.
CREATE TYPE credits.settlement AS (
    outcome text,
    reservation credits.reservations,
    balance credits.balances,
    entry credits.transactions,
    required numeric
);


-- Hold credits for a spend under way: the reservation row and the held credits, both or neither. A
-- null p_amount is the price of p_quantity of p_operation at this moment.
CREATE FUNCTION credits.reserve(
    p_reservation_id uuid,
    p_user_id text,
    p_amount numeric,
    p_operation text,
    p_quantity integer,
    p_app_id text,
    p_reason text,
    p_ttl interval,
    p_actor text,
    p_request_id text,
    p_key text,
    p_request text,
    p_at timestamptz
) RETURNS credits.settlement
LANGUAGE plpgsql AS $$
DECLARE
    now CONSTANT timestamptz := coalesce(p_at, date_trunc('milliseconds', clock_timestamp()));
    amount numeric := p_amount;
    unit_cost numeric;
    posting credits.posting;
    reservation credits.reservations;
    result credits.settlement;
BEGIN
    IF p_amount IS NULL THEN
        SELECT p.unit_cost, p.amount INTO unit_cost, amount
            FROM credits.price(p_operation, p_quantity) p;
    END IF;
    posting := credits.post_transaction(
        p_reservation_id, p_user_id, NULL, 0, amount, 'spent', false,
        NULL, NULL, NULL, p_actor, p_request_id, p_key, p_request, NULL, NULL, p_at,
        p_operation, unit_cost, p_quantity);
    result.outcome := posting.outcome;
    result.required := posting.required;
    result.balance := posting.balance;
    IF posting.outcome = 'posted' THEN
        INSERT INTO credits.reservations (
            id, user_id, amount, operation, unit_cost, quantity, app_id, reason, actor, request_id,
            created_at, expires_at
        ) VALUES (
            p_reservation_id, p_user_id, amount, p_operation, unit_cost, p_quantity, p_app_id,
            p_reason, p_actor, p_request_id, now, now + p_ttl
        ) RETURNING * INTO reservation;
    ELSIF posting.outcome = 'replayed' THEN
        SELECT * INTO STRICT reservation FROM credits.reservations WHERE id = posting.subject_id;
    END IF;
    result.reservation := reservation;
    RETURN result;
END $$;


-- Settle a reservation: commit it (whole, or p_amount of it), release it, or let it expire.
--
-- Own row first, balance last. A reservation whose time is over expires here, whoever asks; one
-- that is settled in the wanted way already is a replay; in another way, outcome says which.
CREATE FUNCTION credits.settle_reservation(
    p_reservation_id uuid,
    p_status text,
    p_amount numeric,
    p_transaction_id uuid,
    p_description text,
    p_actor text,
    p_request_id text,
    p_key text,
    p_request text,
    p_at timestamptz
) RETURNS credits.settlement
LANGUAGE plpgsql AS $$
DECLARE
    now CONSTANT timestamptz := coalesce(p_at, date_trunc('milliseconds', clock_timestamp()));
    reservation credits.reservations;
    balance credits.balances;
    entry credits.transactions;
    posting credits.posting;
    result credits.settlement;
    expires boolean;
    taken numeric;
BEGIN
    SELECT * INTO reservation FROM credits.reservations WHERE id = p_reservation_id FOR UPDATE;
    IF NOT FOUND THEN
        result.outcome := 'unknown_reservation';
        RETURN result;
    END IF;
    result.reservation := reservation;
    taken := coalesce(p_amount, reservation.amount);

    IF reservation.status <> 'open' THEN
        IF reservation.status = p_status
           AND (p_status <> 'committed' OR reservation.committed_amount = taken) THEN
            SELECT * INTO balance FROM credits.balances WHERE user_id = reservation.user_id;
            SELECT * INTO entry FROM credits.transactions WHERE id = reservation.transaction_id;
            result.balance := balance;
            result.entry := entry;
            result.outcome := 'replayed';
        ELSE
            result.outcome := 'reservation_' || reservation.status;
        END IF;
        RETURN result;
    END IF;

    expires := reservation.expires_at <= now;
    IF p_status = 'expired' AND NOT expires THEN
        result.outcome := 'reservation_open';
        RETURN result;
    ELSIF p_status = 'committed' AND taken > reservation.amount AND NOT expires THEN
        result.outcome := 'exceeds_reservation';
        RETURN result;
    END IF;

    IF p_status = 'committed' AND NOT expires THEN
        posting := credits.post_transaction(
            p_transaction_id, reservation.user_id, 'usage', -taken, -reservation.amount,
            'spent', false, reservation.app_id, coalesce(p_description, reservation.reason), NULL,
            p_actor, p_request_id, p_key, p_request,
            'reservation:' || reservation.id, NULL, p_at,
            reservation.operation, reservation.unit_cost, reservation.quantity);
    ELSE
        posting := credits.post_transaction(
            reservation.id, reservation.user_id, NULL, 0, -reservation.amount,
            'spent', false, NULL, NULL, NULL,
            p_actor, p_request_id, CASE WHEN NOT expires THEN p_key END, p_request,
            NULL, NULL, p_at);
    END IF;
    IF posting.outcome <> 'posted' THEN
        result.outcome := posting.outcome;
        RETURN result;
    END IF;

    entry := posting.entry;
    UPDATE credits.reservations SET
        status = CASE WHEN expires THEN 'expired' ELSE p_status END,
        committed_amount = -entry.amount,
        transaction_id = entry.id,
        settled_at = now
        WHERE id = reservation.id RETURNING * INTO reservation;
    result.reservation := reservation;
    result.balance := posting.balance;
    result.entry := entry;
    result.outcome := CASE WHEN expires AND p_status <> 'expired'
        THEN 'reservation_expired' ELSE 'posted' END;
    RETURN result;
END $$;
