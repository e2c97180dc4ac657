"""Approvals from before are sealed as they are, so that their payouts are sent."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import Q

from withdrawals.approvals import seal_of


def seal(apps: Any, schema_editor: Any) -> None:
    requests = apps.get_model("withdrawals", "WithdrawalRequest").objects
    approved = Q(status__in=["approved", "sending"])
    # The first of two approvals.
    half = Q(status="requested", decided_by__isnull=False)
    rows = requests.using(schema_editor.connection.alias).filter(approved | half)
    # One by one: the key is not in the database.
    for row in rows.order_by("pk").iterator():
        row.approval_seal = seal_of(row)
        row.save(update_fields=["approval_seal"])


class Migration(migrations.Migration):
    dependencies = [("withdrawals", "0007_late_truths")]

    operations = [migrations.RunPython(seal, migrations.RunPython.noop)]
