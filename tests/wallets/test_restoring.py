"""A ledger that was dumped and restored is as good as before."""

from __future__ import annotations

import os
import pwd
import subprocess
from decimal import Decimal

from credits_project import postgres_programs
from tests.factories import make_user
from tests.postgres import clone_database, database_url, drop_database
from wallets import proof, services


def test_a_ledger_restored_from_a_dump_has_its_guards_and_sound_books(committed: str):
    from django.db import connections

    rich, poor = make_user("rich", balance="10.00"), make_user("poor")
    services.transfer_credits(
        from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("4.00")
    )
    programs = postgres_programs.folder(run_by=pwd.getpwuid(os.geteuid())) / "bin"
    restored = clone_database("template0")
    settings = connections["default"].settings_dict

    try:
        dump = subprocess.run(
            [programs / "pg_dump", database_url(committed)],
            capture_output=True,
            check=True,
        ).stdout
        subprocess.run(
            [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", database_url(restored)],
            input=dump,
            capture_output=True,
            check=True,
        )
        connections.close_all()
        settings["NAME"] = restored

        assert proof.breaks() == []
        services.transfer_credits(
            from_user_id=poor.pk, to_user_id=rich.pk, amount=Decimal("4.00")
        )
        assert proof.breaks() == []
    finally:
        connections.close_all()
        settings["NAME"] = committed
        drop_database(restored)
