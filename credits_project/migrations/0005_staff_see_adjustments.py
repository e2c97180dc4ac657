"""Staff see what is given and taken by hand."""

from __future__ import annotations

from django.db import migrations

from credits_project.migrations._groups import grant

GROUPS = {
    name: ["wallets.view_creditadjustment"]
    for name in ("support", "finance", "auditors")
}


class Migration(migrations.Migration):
    dependencies = [
        ("credits_project", "0004_staff_see_payout_cases"),
        ("wallets", "0007_adjustments"),
    ]

    operations = [
        migrations.RunPython(grant(GROUPS), migrations.RunPython.noop),
    ]
