"""Staff see commissions and lists; finance sets commissions."""

from __future__ import annotations

from django.db import migrations

from credits_project.migrations._groups import grant

_SEEN = ["courses.view_bulkrun", "courses.view_commissionrate"]
GROUPS = {
    "support": _SEEN,
    "finance": [*_SEEN, "courses.add_commissionrate"],
    "auditors": _SEEN,
}


class Migration(migrations.Migration):
    dependencies = [
        ("credits_project", "0002_staff_see_seals"),
        ("courses", "0006_commission_and_list_guards"),
    ]

    operations = [
        migrations.RunPython(grant(GROUPS), migrations.RunPython.noop),
    ]
