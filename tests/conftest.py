"""What all tests share: a real PostgreSQL, and books that balance after each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.postgres import clone_database, drop_database, stop_server_after_last_run


def pytest_unconfigure(config: pytest.Config) -> None:
    stop_server_after_last_run()


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: Any,
) -> Iterator[None]:
    """Make the test database, also where no test has asked for it by a mark.

    pytest-django's own looks at marks, and `committed` has none.
    """
    from django.test.utils import setup_databases, teardown_databases

    with django_db_blocker.unblock():
        created = setup_databases(verbosity=0, interactive=False)
    yield
    with django_db_blocker.unblock():
        teardown_databases(created, verbosity=0)


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A database of the test's own, in which transactions really commit.

    The ledger refuses TRUNCATE, so what such a test leaves cannot be swept up: it works
    on a clone of the migrated database, which is dropped whole. Gives its name.
    """
    from django.db import connections

    from wallets import proof

    settings = connections["default"].settings_dict
    template = settings["NAME"]
    with django_db_blocker.unblock():
        connections.close_all()
        settings["NAME"] = clone_database(template)
        try:
            yield settings["NAME"]
            assert proof.breaks() == []
        finally:
            connections.close_all()
            name, settings["NAME"] = settings["NAME"], template
            drop_database(name)


@pytest.fixture(autouse=True)
def books_balance(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test with a database ends with books in which nothing is wrong."""
    # Asked for before the test, so that this runs before its transaction ends.
    with_database = (
        "db" in request.fixturenames or request.node.get_closest_marker("django_db")
    ) and "committed" not in request.fixturenames
    if with_database:
        request.getfixturevalue("db")
    yield
    if with_database:
        from wallets import proof

        assert proof.breaks() == []
