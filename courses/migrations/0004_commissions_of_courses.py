"""Rates that courses have of their own become the first rows of the history."""

from __future__ import annotations

from django.db import migrations

# From now on and not from earlier: since when a rate had held was not written down, and
# what was sold carries its own.
_COPY = """
INSERT INTO commission_rates
    (id, course_id, rate, effective_from, created_at)
SELECT gen_random_uuid(), id, commission_rate,
    statement_timestamp(), statement_timestamp()
FROM courses WHERE commission_rate IS NOT NULL
"""

_COPY_BACK = """
UPDATE courses SET commission_rate = newest.rate
FROM (
    SELECT DISTINCT ON (course_id) course_id, rate FROM commission_rates
    WHERE course_id IS NOT NULL AND cancelled_at IS NULL
      AND effective_from <= statement_timestamp()
    ORDER BY course_id, effective_from DESC
) AS newest
WHERE newest.course_id = courses.id
"""


class Migration(migrations.Migration):
    dependencies = [("courses", "0003_commission_history")]

    operations = [migrations.RunSQL(_COPY, _COPY_BACK)]
