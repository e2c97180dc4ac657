"""What all tests share: a real PostgreSQL, and books that balance after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests.postgres import clone_database, drop_database, stop_server_after_last_run

# Tests in these folders run with the app's rights, as the site does; all tests do where
# TEST_AS_APP_ROLE is set.
_WITH_APP_ROLE = {"wallets"}


# How long a draw takes says something about what else the machine does.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the groups begin first, which take long: no process ends alone with one."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


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


@pytest.fixture(scope="session")
def roles(django_db_setup: None, django_db_blocker: Any) -> Any:
    """The database's roles with their rights. Gives their names."""
    from tests import app_role

    with django_db_blocker.unblock():
        app_role.set_up_roles()
    return app_role.ROLES


@pytest.fixture
def as_owner() -> None:
    """For tests that break on purpose what the app's role could not even touch."""


@pytest.fixture(autouse=True)
def with_app_role(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the app's role is wanted, tests with a database have no other rights."""
    wanted = request.path.parent.name in _WITH_APP_ROLE or os.environ.get(
        "TEST_AS_APP_ROLE"
    )
    committed = "committed" in request.fixturenames
    with_database = committed or "db" in request.fixturenames
    if not wanted or not with_database or "as_owner" in request.fixturenames:
        yield
        return
    from django.db import connection, connections

    role = request.getfixturevalue("roles").app
    if not committed:
        request.getfixturevalue("db")
        with connection.cursor() as cursor:
            # Undone by the rollback that ends the test.
            cursor.execute("SELECT set_config('role', %s, false)", [role])
        yield
        return
    request.getfixturevalue("committed")
    # Taken by each connection that is opened from here on, in whatever thread.
    options = connections["default"].settings_dict["OPTIONS"]
    connections.close_all()
    options["assume_role"] = role
    try:
        yield
    finally:
        connections.close_all()
        del options["assume_role"]
