from __future__ import annotations

from django.db import migrations

# The one row is there from the start, so that whoever freezes and whoever sends lock the
# same row.
_MAKE = """
INSERT INTO payout_switch (id, reason) VALUES (1, '') ON CONFLICT (id) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("withdrawals", "0003_guards")]

    operations = [migrations.RunSQL(_MAKE, migrations.RunSQL.noop)]
