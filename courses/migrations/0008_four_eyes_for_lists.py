from __future__ import annotations

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"

# The rules of before, which know of no second person.
_AS_BEFORE = """
DROP FUNCTION courses_check_run CASCADE;
DROP FUNCTION courses_check_row CASCADE;
DROP TRIGGER courses_no_delete ON bulk_runs;
DROP TRIGGER courses_no_delete ON bulk_rows;
DROP TRIGGER courses_no_truncate ON bulk_runs;
DROP TRIGGER courses_no_truncate ON bulk_rows;
""" + (_SQL / "bulk.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("courses", "0007_second_person_of_lists")]

    operations = [
        migrations.RunSQL((_SQL / "four_eyes.sql").read_text(), _AS_BEFORE),
    ]
