from __future__ import annotations

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"
_FUNCTIONS = [
    "withdrawals_check_new_request()",
    "withdrawals_check_request()",
    "withdrawals_check_new_payout()",
    "withdrawals_check_payout()",
    "withdrawals_check_method()",
    "withdrawals_refuse_change()",
    "withdrawals_request_may_move(text, text)",
    "withdrawals_payout_may_move(text, text)",
]
# Their triggers go with them.
_REMOVE = "".join(f"DROP FUNCTION {name} CASCADE;\n" for name in _FUNCTIONS)


class Migration(migrations.Migration):
    dependencies = [
        ("withdrawals", "0002_approvals_required"),
        # The first guard looks into the ledger.
        ("wallets", "0002_ledger_guards"),
    ]

    operations = [
        migrations.RunSQL(
            [
                (_SQL / "transitions.sql").read_text(),
                (_SQL / "append_only.sql").read_text(),
            ],
            _REMOVE,
        ),
    ]
