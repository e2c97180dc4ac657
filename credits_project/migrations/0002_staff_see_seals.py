"""Staff see the seals of the ledger, as they see the rest of it."""

from __future__ import annotations

from django.db import migrations

from credits_project.migrations._groups import grant

GROUPS = {
    name: ["wallets.view_creditseal"] for name in ("support", "finance", "auditors")
}


class Migration(migrations.Migration):
    dependencies = [
        ("credits_project", "0001_groups"),
        ("wallets", "0005_credit_seals"),
    ]

    operations = [
        migrations.RunPython(grant(GROUPS), migrations.RunPython.noop),
    ]
