from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """What operators may do with gifts: permissions, blocked users, a later end."""

    dependencies = [("gifts", "0002_final")]

    operations = [
        migrations.AlterModelOptions(
            name="giftcode",
            options={
                "permissions": (
                    ("cancel_gift", "Can cancel anybody's active gift"),
                    ("extend_gift", "Can extend a gift and send its link again"),
                    ("view_codes", "Can see whole gift codes"),
                    ("block_user", "Can block users from gifts"),
                )
            },
        ),
        migrations.CreateModel(
            name="GiftBlock",
            fields=[
                (
                    "user_id",
                    models.CharField(max_length=255, primary_key=True, serialize=False),
                ),
                ("by", models.CharField(max_length=150)),
                ("why", models.CharField(max_length=1000)),
                ("since", models.DateTimeField()),
            ],
            options={
                "db_table": '"gifts"."gift_blocks"',
                "constraints": [
                    models.CheckConstraint(
                        condition=~models.Q(user_id="") & ~models.Q(by="") & ~models.Q(why=""),
                        name="gift_block_says_whom_by_whom_and_why",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            sql=(SQL / "0003_extended.sql").read_text(),
            reverse_sql=(SQL / "0003_extended_undo.sql").read_text(),
        ),
    ]
