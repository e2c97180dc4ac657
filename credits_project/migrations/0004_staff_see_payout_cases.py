"""Staff see what the gateway said too late, as they see payouts."""

from __future__ import annotations

from django.db import migrations

from credits_project.migrations._groups import grant

GROUPS = {
    name: ["withdrawals.view_payoutcase"] for name in ("support", "finance", "auditors")
}


class Migration(migrations.Migration):
    dependencies = [
        ("credits_project", "0003_staff_set_commissions"),
        ("withdrawals", "0007_late_truths"),
    ]

    operations = [
        migrations.RunPython(grant(GROUPS), migrations.RunPython.noop),
    ]
