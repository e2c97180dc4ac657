from __future__ import annotations

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("withdrawals", "0010_withdrawals_by_time")]

    operations = [
        migrations.RunSQL(
            (_SQL / "returned_once.sql").read_text(),
            "DROP FUNCTION withdrawals_check_returned CASCADE;",
        ),
    ]
