from __future__ import annotations

from django.db import migrations, models

from wallets.migrations._sql import read

_REMOVE = """
DROP TYPE ledger_new_balance;
DROP TYPE ledger_new_transfer;
DROP TYPE ledger_new_transaction;
"""


class Migration(migrations.Migration):
    dependencies = [("wallets", "0005_credit_seals")]

    operations = [
        # Other rules say more than "not below zero".
        migrations.AlterField(
            model_name="creditwallet",
            name="sequence",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="credittransaction",
            name="sequence",
            field=models.BigIntegerField(),
        ),
        migrations.RunSQL(read("checks.sql"), migrations.RunSQL.noop),
        migrations.RunSQL(read("records.sql"), _REMOVE),
        # Again, for the guards as they are now.
        migrations.RunSQL(
            [read("posting.sql"), read("posting_triggers.sql")],
            migrations.RunSQL.noop,
        ),
    ]
