from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("withdrawals", "0009_evidence")]

    operations = [
        migrations.AddIndex(
            model_name="withdrawalrequest",
            index=models.Index(
                fields=["requested_at"], name="withdrawal_requests_by_time"
            ),
        ),
    ]
