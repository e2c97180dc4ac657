from __future__ import annotations

from typing import Any

from django.db import migrations

from wallets.system import all_codes, id_of_code


def open_system_wallets(apps: Any, schema_editor: Any) -> None:
    wallets = apps.get_model("wallets", "CreditWallet").objects
    wallets.bulk_create(
        [wallets.model(id=id_of_code(code), code=code) for code in all_codes()],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("wallets", "0002_ledger_guards")]

    operations = [
        migrations.RunPython(open_system_wallets, migrations.RunPython.noop),
    ]
