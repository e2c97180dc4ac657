from __future__ import annotations

from django.db import migrations, models

from wallets.migrations._sql import read

_REMOVE = "DROP FUNCTION ledger_check_seal CASCADE;"


class Migration(migrations.Migration):
    dependencies = [("wallets", "0004_wallets_of_earlier_users")]

    operations = [
        migrations.CreateModel(
            name="CreditSeal",
            fields=[
                (
                    "number",
                    models.PositiveBigIntegerField(primary_key=True, serialize=False),
                ),
                ("after_id", models.PositiveBigIntegerField()),
                ("last_id", models.PositiveBigIntegerField()),
                ("transactions", models.PositiveBigIntegerField()),
                ("transfers", models.PositiveBigIntegerField()),
                ("wallets", models.PositiveBigIntegerField()),
                ("transactions_digest", models.CharField(max_length=64)),
                ("transfers_digest", models.CharField(max_length=64)),
                ("wallets_digest", models.CharField(max_length=64)),
                ("previous_digest", models.CharField(max_length=64)),
                ("digest", models.CharField(max_length=64)),
                ("sealed_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "seal",
                "db_table": "credit_seals",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("last_id__gt", models.F("after_id")),
                            ("transactions__gte", 1),
                        ),
                        name="wallets_creditseal_covers_something",
                    ),
                    models.UniqueConstraint(
                        fields=("previous_digest",), name="wallets_creditseal_no_fork"
                    ),
                ],
            },
        ),
        # Goes with the table, but for the function.
        migrations.RunSQL(read("seals.sql"), _REMOVE),
    ]
