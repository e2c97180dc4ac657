from __future__ import annotations

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "transitions.sql"
_REMOVE = """
DROP FUNCTION payments_refuse_removal CASCADE;
DROP FUNCTION payments_check_new_purchase CASCADE;
DROP FUNCTION payments_check_purchase CASCADE;
DROP FUNCTION payments_check_refund CASCADE;
DROP FUNCTION payments_check_event CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [migrations.RunSQL(_SQL.read_text(), _REMOVE)]
