"""The contents of the import: the tables of credits, and the contributions of other apps."""

from pathlib import Path
from typing import NamedTuple

from mana_credits.legacy_import.source import LegacyTable

TABLES = (
    LegacyTable(
        "credits.balances",
        (
            "user_id text",
            "balance bigint",
            "total_earned bigint",
            "total_spent bigint",
            "created_at timestamptz",
            "updated_at timestamptz",
        ),
        required=True,
    ),
    LegacyTable(
        "credits.transactions",
        (
            "id uuid",
            "user_id text",
            "type text",
            "status text",
            "amount bigint",
            "balance_before bigint",
            "balance_after bigint",
            "app_id text",
            "description text",
            "metadata jsonb",
            "idempotency_key text",
            "created_at timestamptz",
        ),
        required=True,
    ),
    LegacyTable(
        "credits.reservations",
        (
            "id uuid",
            "user_id text",
            "amount bigint",
            "reason text",
            "status text",
            "created_at timestamptz",
            "resolved_at timestamptz",
        ),
    ),
    LegacyTable(
        "credits.packages",
        (
            "id uuid",
            "name text",
            "description text",
            "credits bigint",
            "price_euro_cents integer",
            "stripe_price_id text",
            "active boolean DEFAULT true",
            "sort_order integer DEFAULT 0",
            "metadata jsonb",
            "created_at timestamptz",
            "updated_at timestamptz",
        ),
    ),
    LegacyTable(
        "credits.purchases",
        (
            "id uuid",
            "user_id text",
            "package_id uuid",
            "credits bigint",
            "price_euro_cents integer",
            "stripe_payment_intent_id text",
            "stripe_customer_id text",
            "status text",
            "metadata jsonb",
            "created_at timestamptz",
            "completed_at timestamptz",
        ),
    ),
    LegacyTable(
        "credits.stripe_customers",
        (
            "user_id text",
            "stripe_customer_id text",
            "email text",
            "created_at timestamptz",
        ),
    ),
    LegacyTable(
        "credits.sync_subscriptions",
        (
            "user_id text",
            "active boolean DEFAULT false",
            "billing_interval text DEFAULT 'monthly'",
            "amount_charged bigint",
            "activated_at timestamptz",
            "next_charge_at timestamptz",
            "paused_at timestamptz",
            "is_gifted boolean DEFAULT false",
            "gifted_by text",
            "gifted_at timestamptz",
            "created_at timestamptz",
            "updated_at timestamptz",
        ),
    ),
    # Usage is recounted by UTC day. Only the number of rows with local days is reported.
    LegacyTable(
        "credits.usage_stats",
        ("rows bigint", "local bigint"),
        query="""
            SELECT count(*), count(*) FILTER (WHERE (date AT TIME ZONE 'UTC')::time <> '00:00')
            FROM credits.usage_stats
        """,
    ),
)


class ImportContribution(NamedTuple):
    """An app's contribution to the import.

    The SQL in `entries` runs once, after the entries are known and before they are posted. The SQL
    in `rows` runs after they are posted, for each batch of positions in the temporary table
    `numbered`. `unit` names these rows in the progress.
    """

    tables: tuple[LegacyTable, ...]
    entries: Path
    rows: Path
    numbered: str
    unit: str
    counts: dict[str, str]
