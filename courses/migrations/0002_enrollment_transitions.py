from __future__ import annotations

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql" / "transitions.sql"

_REMOVE = """
DROP FUNCTION courses_check_enrollment CASCADE;
DROP FUNCTION courses_check_course CASCADE;
DROP FUNCTION courses_refuse_change CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("courses", "0001_initial")]

    operations = [migrations.RunSQL(_SQL.read_text(), _REMOVE)]
