from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallets", "0007_adjustments")]

    operations = [
        migrations.RemoveIndex(
            model_name="credittransaction", name="credit_transactions_by_time"
        ),
        migrations.AddIndex(
            model_name="credittransaction",
            index=models.Index(
                fields=["wallet", "created_at", "sequence"],
                name="credit_transactions_by_time",
            ),
        ),
    ]
