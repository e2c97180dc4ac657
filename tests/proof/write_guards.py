"""`make guards`: write down which guards a freshly migrated database has.

For whoever has added or changed one on purpose. `verify_ledger` compares what it finds
with these files, and what the diff shows is what the change does.
"""

from __future__ import annotations

import json
import os

import django


def main() -> None:
    """Migrate an empty database and write every file `guards.json`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests import postgres
    from wallets import guards

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        for guarded in guards.all_guarded():
            found = json.dumps(guards.describe(guarded), indent=1)
            guarded.expected.write_text(f"{found}\n")
    finally:
        teardown_databases(databases, verbosity=0)
        postgres.stop_server_after_last_run()


if __name__ == "__main__":
    main()
