from __future__ import annotations

from django.db import migrations

# Users from before the ledger never met the signal. The same rule as
# `services.open_missing_wallets`, in one statement.
_OPEN = """
INSERT INTO credit_wallets
    (id, user_id, balance, held, sequence, frozen_reason, created_at, updated_at)
SELECT gen_random_uuid(), id, 0, 0, 0, '', statement_timestamp(), statement_timestamp()
FROM auth_user
ON CONFLICT (user_id) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("wallets", "0003_system_wallets"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunSQL(_OPEN, migrations.RunSQL.noop)]
