from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("courses", "0004_commissions_of_courses")]

    operations = [
        migrations.RemoveConstraint(
            model_name="course",
            name="courses_course_commission_rate_in_range",
        ),
        migrations.RemoveField(
            model_name="course",
            name="commission_rate",
        ),
    ]
