"""One running system for all journeys of a test process, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.postgres import clone_database, drop_database
from tests.system import System, start_system


@pytest.fixture(scope="module")
def system(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[System]:
    """Web server, worker and simulator; the test process sees the same database.

    A module's `ENVIRONMENT`, where it has one, is what its system runs with.
    """
    from django.db import connections

    settings = connections["default"].settings_dict
    template = settings["NAME"]
    with django_db_blocker.unblock():
        connections.close_all()
        settings["NAME"] = clone_database(template)
        try:
            wanted = getattr(request.module, "ENVIRONMENT", {})
            with start_system(settings["NAME"], **wanted) as running:
                yield running
        finally:
            connections.close_all()
            name, settings["NAME"] = settings["NAME"], template
            drop_database(name)


@pytest.fixture(autouse=True)
def books_balance_after_the_journey(system: System) -> Iterator[None]:
    """Every journey ends with books in which nothing is wrong."""
    from wallets import proof

    yield
    assert proof.breaks() == []
