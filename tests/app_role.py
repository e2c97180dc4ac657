"""The roles of the database for tests, which run the ledger with the app's rights."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections
from psycopg import sql

from credits_project.database_roles import Names, differences, statements
from tests.postgres import database_url

# Roles are the server's, not a database's: all test runs share these.
ROLES: Final = Names(
    owner="credits_tests_owner",
    app="credits_tests_app",
    readonly="credits_tests_readonly",
)
_PASSWORD: Final = "for tests only"


def set_up_roles() -> None:
    """Give the database that the tests are connected to its roles."""
    with psycopg.connect(_url(), autocommit=True) as server:
        for role, login in (
            (ROLES.owner, "NOLOGIN"),
            (ROLES.app, "LOGIN"),
            (ROLES.readonly, "LOGIN"),
        ):
            statement = sql.SQL("CREATE ROLE {} {} PASSWORD {}").format(
                sql.Identifier(role), sql.SQL(login), sql.Literal(_PASSWORD)
            )
            # Another run has made it, perhaps at this moment.
            with contextlib.suppress(
                psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation
            ):
                server.execute(statement)
    # A connection of its own: Django's may be inside of a test's transaction by now.
    database = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with database.cursor() as cursor:
            cursor.execute("BEGIN")
            for _, part in statements(database, ROLES):
                for step in part:
                    cursor.execute(step)
            cursor.execute("COMMIT")
        assert differences(database, ROLES) == []
    finally:
        database.close()


def log_in(role: str, **options: Any) -> psycopg.Connection:
    """Return a connection of the role's own, with no way back to a superuser."""
    return psycopg.connect(_url(), user=role, password=_PASSWORD, **options)


def _url() -> str:
    return database_url(str(connection.settings_dict["NAME"]))
