from __future__ import annotations

from django.db import migrations

from wallets.migrations._sql import read

_REMOVE = """
DROP TRIGGER ledger_append_only ON credit_transfers;
DROP TRIGGER ledger_append_only ON credit_transactions;
DROP TRIGGER ledger_no_truncate ON credit_transfers;
DROP TRIGGER ledger_no_truncate ON credit_transactions;
DROP TRIGGER ledger_no_truncate ON credit_wallets;
DROP TRIGGER ledger_no_truncate ON credit_holds;
DROP TRIGGER ledger_no_delete ON credit_wallets;
DROP TRIGGER ledger_no_delete ON credit_holds;
DROP FUNCTION ledger_refuse_change CASCADE;
DROP FUNCTION ledger_check_transactions CASCADE;
DROP FUNCTION ledger_check_transfers CASCADE;
DROP FUNCTION ledger_check_wallets CASCADE;
DROP FUNCTION ledger_check_new_wallet CASCADE;
DROP FUNCTION ledger_apply_new_holds CASCADE;
DROP FUNCTION ledger_check_hold CASCADE;
DROP FUNCTION ledger_apply_released_holds CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("wallets", "0001_initial")]

    operations = [
        migrations.RunSQL(
            [
                read("append_only.sql"),
                read("posting.sql"),
                read("posting_triggers.sql"),
                read("holds.sql"),
            ],
            _REMOVE,
        ),
    ]
