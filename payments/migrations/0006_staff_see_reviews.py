"""Staff see cases, differences and refused deliveries, and decide them."""

from __future__ import annotations

from django.db import migrations

from credits_project.migrations._groups import grant

# Written out: a migration does the same for ever, whatever the table says later.
_VIEW = [
    "payments.view_gatewaydifference",
    "payments.view_reconciliationrun",
    "payments.view_refuseddelivery",
    "payments.view_reviewcase",
]
GROUPS = {
    "support": [*_VIEW, "payments.decide_reviewcase"],
    "finance": [
        *_VIEW,
        "payments.decide_gatewaydifference",
        "payments.decide_reviewcase",
    ],
    "auditors": _VIEW,
}


class Migration(migrations.Migration):
    dependencies = [
        ("credits_project", "0002_staff_see_seals"),
        ("payments", "0005_review_guards"),
    ]

    operations = [
        # Backwards the groups stay: people are in them.
        migrations.RunPython(grant(GROUPS), migrations.RunPython.noop),
    ]
