"""One running system for the tests of a module, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.postgres import clone_database, drop_database
from tests.system import System, start_system


@pytest.fixture(scope="module")
def system(django_db_setup: None, django_db_blocker: Any) -> Iterator[System]:
    """Web server, worker and simulator; the test process sees the same database.

    The limits on calls are off, as the tests' settings have them, and everything that
    the API offers is switched on.
    """
    from django.db import connections

    from wallets import proof

    settings = connections["default"].settings_dict
    template = settings["NAME"]
    with django_db_blocker.unblock():
        connections.close_all()
        settings["NAME"] = clone_database(template)
        try:
            with start_system(
                settings["NAME"],
                USER_TRANSFERS_ENABLED="on",
                REFUND_WINDOW_DAYS="14",
                COMMISSION_RATE="0.10",
            ) as running:
                yield running
            assert proof.breaks() == []
        finally:
            connections.close_all()
            name, settings["NAME"] = settings["NAME"], template
            drop_database(name)
