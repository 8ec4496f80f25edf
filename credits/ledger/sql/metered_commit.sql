-- Return what a commit takes of a metered reservation: the price of p_units at the prices of the
-- reservation, or all of the hold if p_units is null. refusal is the code of the error.
--
-- A price above the hold also takes available credits, within the user's spending limits. If the
-- operation may overdraw, the rest becomes debt. A remaining part is not taken; metering has it as
-- `unpaid`. The caller holds the lock on the reservation.
CREATE OR REPLACE FUNCTION credits.metered_commit(
    p_reservation credits.reservations,
    p_amount numeric,
    p_units jsonb,
    p_at timestamptz,
    OUT taken numeric,
    OUT metering jsonb,
    OUT refusal text
)
LANGUAGE plpgsql AS $$
DECLARE
    held CONSTANT numeric := p_reservation.amount;
    price numeric;
    excess numeric;
    spending jsonb;
    reached jsonb;
    balance credits.balances;
BEGIN
    taken := held;
    metering := p_reservation.metering;
    IF metering IS NULL THEN
        refusal := 'operation_not_metered';
        RETURN;
    ELSIF p_amount IS NOT NULL THEN
        refusal := 'units_required';
        RETURN;
    ELSIF p_units IS NULL THEN
        RETURN;
    END IF;
    metering := metering || jsonb_build_object('units', p_units);
    price := credits.metered_price(metering);
    IF price IS NULL THEN
        refusal := 'unknown_unit';
        RETURN;
    ELSIF price <= held THEN
        taken := price;
        RETURN;
    END IF;

    SELECT * INTO STRICT balance FROM credits.balances b
        WHERE b.user_id = p_reservation.user_id FOR UPDATE;
    -- Before the available credits are read: what has expired is not available.
    IF balance.next_expiry <= greatest(p_at, clock_timestamp()) THEN
        balance := credits.expire_lots(p_reservation.user_id, p_at);
    END IF;
    excess := price - held;
    IF NOT (metering ->> 'mayOverdraw')::boolean THEN
        excess := least(excess, greatest(balance.posted - balance.held, 0));
    END IF;
    IF balance.has_settings AND excess > 0 THEN
        spending := credits.month_spending(p_reservation.user_id, p_at);
        reached := credits.reached_limit(spending, p_reservation.app_id, excess);
        IF reached IS NOT NULL THEN
            PERFORM credits.note_limit(p_reservation.user_id, reached, p_at);
            -- As much as the tighter limit still permits, and not nothing, because the work is done
            -- already.
            excess := greatest(0, (
                SELECT min((l.value ->> 0)::numeric - (l.value ->> 1)::numeric)
                FROM jsonb_each(spending) l WHERE l.key IN ('', p_reservation.app_id)));
        END IF;
    END IF;
    taken := held + excess;
    IF taken < price THEN
        -- As text, like the costs, so that no JSON parser rounds it.
        metering := metering || jsonb_build_object('unpaid', (price - taken)::text);
    END IF;
END $$;
