"""What all tests share: a real PostgreSQL, and books that balance after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.postgres import clone_database, drop_database, provide_database_url

os.environ.update(
    {
        "SECRET_KEY": "for tests only, for tests only, for tests only, for tests only",
        "FIELD_ENCRYPTION_KEY": "for tests only, for tests only, for tests only",
        "ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
        "PAYCHANGU_SECRET_KEY": "sec-test-for-tests-only",
        "PAYCHANGU_WEBHOOK_SECRET": "webhook-secret-for-tests-only",
        "PAYCHANGU_BASE_URL": "http://127.0.0.1:9",
        "STAFF_MFA_REQUIRED": "false",
        "THROTTLE_ANON": "",
        "THROTTLE_USER": "",
        "THROTTLE_MONEY": "",
        "AUTH_RATE_LIMITS": "false",
        "LOG_LEVEL": "WARNING",
    }
)
# Set to nothing rather than removed: a developer's `.env` must not reach the tests.
for _name in (
    "DEBUG", "SITE_URL", "TRUSTED_PROXY_COUNT", "COMMISSION_RATE", "REFUND_WINDOW_DAYS",
    "USER_TRANSFERS_ENABLED", "METRICS_TOKEN", "LEDGER_SEAL_KEY", "EMAIL_URL",
    "PAYCHANGU_WEBHOOK_SECRET_PREVIOUS", "DATABASE_REPLICA_URL",
):  # fmt: skip
    os.environ[_name] = ""


def pytest_configure(config: pytest.Config) -> None:
    provide_database_url()


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
