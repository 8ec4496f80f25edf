from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes for a user's lists by app, time and type, and for keys that are old."""

    atomic = False
    dependencies = [("credits", "0025_erasure_requests")]
    operations = [
        AddIndexConcurrently(
            model_name="idempotencykey",
            index=BrinIndex(
                autosummarize=True,
                fields=["created_at"],
                name="idempotency_key_created_idx",
                opclasses=["timestamptz_minmax_multi_ops"],
                pages_per_range=32,
            ),
        ),
        AddIndexConcurrently(
            model_name="transaction",
            index=models.Index(
                fields=["user_id", "app_id", "created_at", "number"],
                name="transaction_by_app_idx",
            ),
        ),
        AddIndexConcurrently(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("type", "usage"), _negated=True),
                fields=["user_id", "type", "number"],
                name="transaction_by_type_idx",
            ),
        ),
    ]
