from __future__ import annotations

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"

_REMOVE = """
DROP FUNCTION courses_check_new_enrollment CASCADE;
DROP FUNCTION courses_check_commission CASCADE;
ALTER TABLE enrollments DROP CONSTRAINT courses_enrollment_fee_of_rate;
DROP TRIGGER courses_no_delete ON commission_rates;
DROP TRIGGER courses_no_truncate ON commission_rates;
"""
# What checked enrollments before knew of no payer; those columns are gone by then.
_AS_BEFORE = """
DROP FUNCTION courses_check_enrollment CASCADE;
DROP FUNCTION courses_check_course CASCADE;
DROP FUNCTION courses_refuse_change CASCADE;
""" + (_SQL / "transitions.sql").read_text()
_REMOVE_LISTS = """
DROP FUNCTION courses_check_run CASCADE;
DROP FUNCTION courses_check_row CASCADE;
DROP TRIGGER courses_no_delete ON bulk_runs;
DROP TRIGGER courses_no_delete ON bulk_rows;
DROP TRIGGER courses_no_truncate ON bulk_runs;
DROP TRIGGER courses_no_truncate ON bulk_rows;
"""


class Migration(migrations.Migration):
    dependencies = [("courses", "0005_no_commission_in_courses")]

    operations = [
        migrations.RunSQL((_SQL / "commissions.sql").read_text(), _REMOVE + _AS_BEFORE),
        migrations.RunSQL((_SQL / "bulk.sql").read_text(), _REMOVE_LISTS),
    ]
