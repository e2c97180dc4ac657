from __future__ import annotations

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "sql"
_FUNCTIONS = [
    "withdrawals_check_evidence()",
    "withdrawals_check_ending()",
    "withdrawals_check_new_terms()",
    "withdrawals_check_case()",
    "withdrawals_check_restored()",
    "withdrawals_check_switch()",
    "withdrawals_database_identity()",
]
# Their triggers go with them.
_REMOVE = "".join(f"DROP FUNCTION {name} CASCADE;\n" for name in _FUNCTIONS) + (
    "DROP TRIGGER withdrawals_no_delete ON payout_cases;\n"
    "DROP TRIGGER withdrawals_no_truncate ON payout_cases;\n"
)


class Migration(migrations.Migration):
    dependencies = [("withdrawals", "0008_seal_approvals")]

    operations = [
        migrations.RunSQL(
            [
                (_SQL / "evidence.sql").read_text(),
                (_SQL / "restored.sql").read_text(),
            ],
            _REMOVE,
        ),
    ]
