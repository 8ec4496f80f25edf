-- Post up to a thousand spends of any users in one call, with the same effect as
-- credits.post_transaction for one item after the other. The items of a user are posted in the
-- order of the batch. A refused item does not affect the others.
--
-- p_items is a JSON array of objects: subject_id, user_id, amount or operation and quantity or
-- metering (with its units), app_id, description, metadata, key, fingerprint. place is the item's
-- place in the array, from 1. outcome, entry, required and reached are those of
-- credits.post_transaction. posted, held, total_earned and total_spent are the balance after the
-- item. All items have p_actor, p_request_id and p_at.
--
-- The balances are locked first, in the order of user ids, so that concurrent batches cannot
-- deadlock and each later statement sees the newest rows. A balance that is created after that
-- counts as missing, because it is not locked. A loop over variables then decides each item, because
-- an item's funds depend on the items before it. Finally one statement per table writes the rows. No
-- total can become too large, because total_spent never exceeds total_earned here.
CREATE OR REPLACE FUNCTION credits.spend_batch(
    p_items json, p_actor text, p_request_id text DEFAULT NULL, p_at timestamptz DEFAULT NULL
) RETURNS TABLE (
    place integer,
    outcome text,
    entry credits.transactions,
    required numeric,
    posted numeric,
    held numeric,
    total_earned numeric,
    total_spent numeric,
    reached jsonb
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now timestamptz;
    size CONSTANT integer := json_array_length(p_items);
    -- The items, one array per field, and their results.
    users text[];
    asked numeric[];
    operations text[];
    quantities integer[];
    meterings jsonb[];
    app_ids text[];
    descriptions text[];
    metadatas jsonb[];
    keys text[];
    fingerprints text[];
    subjects uuid[];
    outcomes text[] := array_fill(NULL::text, ARRAY[size]);
    entries uuid[] := array_fill(NULL::uuid, ARRAY[size]);
    numbers bigint[] := array_fill(NULL::bigint, ARRAY[size]);
    amounts numeric[] := array_fill(NULL::numeric, ARRAY[size]);
    unit_costs numeric[] := array_fill(NULL::numeric, ARRAY[size]);
    limits_reached jsonb[] := array_fill(NULL::jsonb, ARRAY[size]);
    posteds numeric[] := array_fill(NULL::numeric, ARRAY[size]);
    spents numeric[] := array_fill(NULL::numeric, ARRAY[size]);
    digests bytea[] := array_fill(NULL::bytea, ARRAY[size]);
    -- The users whose balances are locked, as keys: jsonb finds a key by binary search.
    locked jsonb;
    -- The current item, and its user's balance and keys after the items before it.
    item record;
    of_user text;
    balance credits.balances;
    keys_of_user jsonb;
    recorded_at timestamptz;
    next_expiry timestamptz;
    earlier jsonb;
    spending jsonb;
    limit_reached jsonb;
    change numeric;
    refusal text;
    result text;
BEGIN
    -- Arrays instead of a temporary table, whose creation would write to the system catalogues in
    -- every call.
    SELECT array_agg(i.user_id), array_agg(i.amount), array_agg(i.operation),
           array_agg(i.quantity), array_agg(i.metering), array_agg(i.app_id),
           array_agg(i.description),
           array_agg(i.metadata), array_agg(i.key), array_agg(i.fingerprint),
           array_agg(i.subject_id)
        INTO users, asked, operations, quantities, meterings, app_ids, descriptions,
             metadatas, keys, fingerprints, subjects
        FROM json_to_recordset(p_items) AS i (
            user_id text, amount numeric, operation text, quantity integer, metering jsonb,
            app_id text, description text, metadata jsonb, key text, fingerprint text, subject_id uuid);

    SELECT min(b.next_expiry), coalesce(jsonb_object_agg(b.user_id, NULL), '{}')
        INTO next_expiry, locked FROM (
        SELECT b.user_id, b.next_expiry FROM credits.balances b WHERE b.user_id = ANY (users)
            -- "C" orders by code points, as Python does. Another collation would give another lock
            -- order.
            ORDER BY b.user_id COLLATE "C" FOR UPDATE
    ) b;
    now := coalesce(p_at, date_trunc('milliseconds', clock_timestamp()));
    IF next_expiry <= greatest(now, clock_timestamp()) THEN
        PERFORM credits.expire_lots(b.user_id, now) FROM credits.balances b
            WHERE b.user_id = ANY (users) AND locked ? b.user_id
              AND b.next_expiry <= greatest(now, clock_timestamp());
    END IF;
    recorded_at := CASE WHEN p_at < clock_timestamp() - interval '1 hour'
        THEN clock_timestamp() END;

    -- One statement reads the balances, the keys and the prices, so that most items need no query
    -- of their own.
    FOR item IN
        SELECT i.*, b AS balance, k.fingerprint AS known_fingerprint, k.subject_id AS known_id,
               o.cost AS unit_cost, o.metering IS NOT NULL OR i.metering IS NOT NULL AS is_metered,
               -- Integer division: a started batch is charged in full.
               coalesce(i.amount, o.cost * ((i.quantity - 1) / coalesce(o.per_items, 1) + 1))
                   AS price,
               count(*) OVER (PARTITION BY i.user_id COLLATE "C") > 1 AS has_siblings
        FROM unnest(
            users, asked, operations, quantities, meterings, keys, fingerprints, subjects
        ) WITH ORDINALITY AS i (
            user_id, amount, operation, quantity, metering, key, fingerprint, subject_id, place
        )
        LEFT JOIN credits.balances b ON b.user_id = i.user_id AND locked ? i.user_id
        LEFT JOIN credits.idempotency_keys k ON k.user_id = i.user_id AND k.key = i.key
        LEFT JOIN credits.operations o ON o.key = i.operation AND o.active
        ORDER BY i.user_id COLLATE "C", i.place
    LOOP
        IF of_user IS DISTINCT FROM item.user_id THEN
            of_user := item.user_id;
            balance := item.balance;
            keys_of_user := '{}';
            spending := CASE WHEN balance.has_settings
                THEN credits.month_spending(of_user, now) END;
        END IF;
        limit_reached := NULL;
        refusal := 'unknown_operation';
        IF item.is_metered THEN
            SELECT p.amount, p.metering, p.refusal INTO item.price, item.metering, refusal
                FROM credits.price(item.operation, item.quantity, item.metering -> 'units') p;
        END IF;
        change := -item.price;
        -- A key of an earlier item is not in the table yet. Most users have one item and skip the
        -- JSON.
        earlier := CASE WHEN item.has_siblings THEN keys_of_user -> item.key END;

        IF item.known_fingerprint IS NOT NULL OR earlier IS NOT NULL THEN
            IF coalesce(item.known_fingerprint, earlier ->> 0) = item.fingerprint THEN
                result := 'replayed';
                entries[item.place] := coalesce(item.known_id, (earlier ->> 1)::uuid);
            ELSE
                result := 'idempotency_key_reused';
            END IF;
        ELSIF change IS NULL THEN
            result := refusal;
        ELSIF balance.user_id IS NULL OR balance.posted - balance.held + change < 0 THEN
            result := 'insufficient_credits';
            amounts[item.place] := item.price;
        ELSE
            IF spending IS NOT NULL THEN
                limit_reached := credits.reached_limit(
                    spending, app_ids[item.place], item.price);
            END IF;
            result := CASE WHEN limit_reached IS NULL
                THEN 'posted' ELSE 'spending_limit_reached' END;
        END IF;
        limits_reached[item.place] := limit_reached;
        IF limit_reached IS NOT NULL THEN
            PERFORM credits.note_limit(of_user, limit_reached, now);
        END IF;

        IF result = 'posted' THEN
            spending := credits.with_spending(spending, app_ids[item.place], item.price);
            entry.id := item.subject_id;
            entry.user_id := item.user_id;
            entry.number := balance.last_number + 1;
            entry.type := 'usage';
            entry.amount := change;
            entry.balance_before := balance.posted;
            entry.balance_after := balance.posted + change;
            entry.spent_change := -change;
            entry.operation := item.operation;
            entry.unit_cost := item.unit_cost;
            entry.quantity := item.quantity;
            entry.metering := item.metering;
            entry.app_id := app_ids[item.place];
            entry.description := descriptions[item.place];
            entry.metadata := metadatas[item.place];
            entry.actor := p_actor;
            entry.request_id := p_request_id;
            entry.idempotency_key := item.key;
            entry.created_at := now;
            entry.recorded_at := recorded_at;
            entry.digest := credits.transaction_digest(
                entry, balance.last_digest, balance.chain_id,
                credits.texts_digest(entry, balance.chain_salt));
            digests[item.place] := entry.digest;
            balance.last_digest := entry.digest;
            balance.posted := balance.posted + change;
            balance.total_spent := balance.total_spent - change;
            balance.last_number := balance.last_number + 1;
            entries[item.place] := item.subject_id;
            numbers[item.place] := balance.last_number;
            amounts[item.place] := item.price;
            unit_costs[item.place] := item.unit_cost;
            meterings[item.place] := item.metering;
            IF item.has_siblings AND item.key IS NOT NULL THEN
                keys_of_user := keys_of_user || jsonb_build_object(
                    item.key, jsonb_build_array(item.fingerprint, item.subject_id));
            END IF;
        END IF;
        outcomes[item.place] := result;
        posteds[item.place] := balance.posted;
        spents[item.place] := balance.total_spent;
    END LOOP;

    INSERT INTO credits.idempotency_keys (user_id, key, fingerprint, subject_id, created_at)
        SELECT i.user_id, i.key, i.fingerprint, i.subject_id, now
        FROM unnest(outcomes, users, keys, fingerprints, subjects)
            AS i (outcome, user_id, key, fingerprint, subject_id)
        -- A refused item leaves its key unused, so it can be sent again.
        WHERE i.outcome = 'posted' AND i.key IS NOT NULL;

    UPDATE credits.balances b SET
        posted = b.posted - i.taken,
        total_spent = b.total_spent + i.taken,
        last_number = b.last_number + i.entries,
        last_digest = i.last_digest,
        version = b.version + i.entries,
        updated_at = now
        FROM (
            SELECT i.user_id, sum(i.amount) AS taken, count(*) AS entries,
                   (array_agg(i.digest ORDER BY i.number DESC))[1] AS last_digest
            FROM unnest(outcomes, users, amounts, numbers, digests)
                AS i (outcome, user_id, amount, number, digest)
            WHERE i.outcome = 'posted' GROUP BY i.user_id
        ) i WHERE b.user_id = i.user_id;
    -- After the update, because note_crossing compares the new balance.
    PERFORM credits.note_crossing(b, -i.taken, 'usage', now)
        FROM credits.balances b JOIN (
            SELECT i.user_id, sum(i.amount) AS taken
            FROM unnest(outcomes, users, amounts) AS i (outcome, user_id, amount)
            WHERE i.outcome = 'posted' GROUP BY i.user_id
        ) i ON i.user_id = b.user_id
        WHERE b.has_settings;

    INSERT INTO credits.transactions (
        id, user_id, number, type, amount, balance_before, balance_after, spent_change,
        app_id, description, metadata, actor, request_id, idempotency_key,
        operation, unit_cost, quantity, metering, created_at, recorded_at, digest
    )
        SELECT i.subject_id, i.user_id, i.number, 'usage', -i.amount,
               i.posted + i.amount, i.posted, i.amount,
               i.app_id, i.description, i.metadata, p_actor, p_request_id, i.key,
               i.operation, i.unit_cost, i.quantity, i.metering, now, recorded_at, i.digest
        FROM unnest(
            outcomes, subjects, users, numbers, amounts, posteds, app_ids, descriptions, metadatas,
            keys, operations, unit_costs, quantities, meterings, digests
        ) AS i (
            outcome, subject_id, user_id, number, amount, posted, app_id, description, metadata,
            key, operation, unit_cost, quantity, metering, digest
        ) WHERE i.outcome = 'posted';

    IF next_expiry IS NOT NULL THEN
        PERFORM credits.take_lots_of_batch(outcomes, users, subjects, amounts, numbers);
    END IF;

    INSERT INTO credits.usage_stats AS s (user_id, date, app_id, credits_used, transactions)
        SELECT i.user_id, (now AT TIME ZONE 'UTC')::date, i.app_id, sum(i.amount), count(*)
        FROM unnest(outcomes, users, app_ids, amounts) AS i (outcome, user_id, app_id, amount)
        WHERE i.outcome = 'posted' GROUP BY i.user_id, i.app_id
        ON CONFLICT (user_id, date, app_id) DO UPDATE SET
            credits_used = s.credits_used + excluded.credits_used,
            transactions = s.transactions + excluded.transactions;

    RETURN QUERY
        SELECT i.place::integer, i.outcome, t,
               CASE i.outcome WHEN 'insufficient_credits' THEN i.amount END,
               i.posted, b.held, b.total_earned, i.spent, i.reached
        FROM unnest(outcomes, users, entries, amounts, posteds, spents, limits_reached)
            WITH ORDINALITY
            AS i (outcome, user_id, entry_id, amount, posted, spent, reached, place)
        LEFT JOIN credits.balances b ON b.user_id = i.user_id
        -- Read from the table: the transaction of a replay was not written by this call.
        LEFT JOIN credits.transactions t ON t.user_id = i.user_id AND t.id = i.entry_id
        ORDER BY i.place;
END $$;
