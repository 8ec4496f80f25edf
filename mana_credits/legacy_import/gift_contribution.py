"""The contribution of gifts to the import of the earlier service's data."""

from pathlib import Path

from mana_credits.legacy_import.contributions import ImportContribution
from mana_credits.legacy_import.source import LegacyTable

SQL = Path(__file__).resolve().parent / "sql" / "gifts"

PART = ImportContribution(
    tables=(
        LegacyTable(
            "gifts.gift_codes",
            (
                "id uuid",
                "code text",
                "creator_id text",
                "creator_name text",
                "total_credits bigint",
                "type text",
                "status text",
                "target_email text",
                "message text",
                "expires_at timestamptz",
                "reservation_transaction_id uuid",
                "created_at timestamptz",
                "updated_at timestamptz",
            ),
        ),
        LegacyTable(
            "gifts.gift_redemptions",
            (
                "id uuid",
                "gift_code_id uuid",
                "redeemer_user_id text",
                "status text",
                "credits_received bigint",
                "credit_transaction_id uuid",
                "source_app_id text",
                "created_at timestamptz",
            ),
        ),
    ),
    entries=SQL / "entries.sql",
    rows=SQL / "rows.sql",
    numbered="legacy_gifts",
    unit="gifts",
    counts={
        "gifts": """
            SELECT count(*), count(*) FILTER (WHERE c.id IS NULL)
            FROM legacy_gifts LEFT JOIN gifts.gift_codes c USING (id)
        """,
        "redemptions": """
            SELECT count(*), count(*) FILTER (WHERE r.id IS NULL)
            FROM legacy_gifts g LEFT JOIN gifts.gift_redemptions r ON r.gift_code_id = g.id
            WHERE g.redemption_id IS NOT NULL
        """,
    },
)
