"""The PostgreSQL that the tests run on.

TEST_DATABASE_URL names a server to use. Without it there is an embedded one under
`.data/test-postgres`, apart from the demo's. All test runs of this checkout share it,
each with databases of its own; the last one to end stops it.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from credits_project import embedded_postgres

DATA_DIR = Path(__file__).resolve().parent.parent / ".data" / "test-postgres"

_USERS = DATA_DIR.with_name("test-postgres.users")
# Locked (shared) by each test run for as long as it lives, so that the last one knows
# that it is the last. The kernel gives the lock back even where a run was killed.
_presence: list[IO[str]] = []


def provide_database_url() -> str:
    """Set DATABASE_URL, starting a server where none is given, and return it.

    To be called before the settings are loaded. The processes of one test run inherit
    the address and share its database names.
    """
    if (given := os.environ.get("TEST_DATABASE_URL", "").strip()) != "":
        os.environ["DATABASE_URL"] = given
    elif "PYTEST_XDIST_WORKER" not in os.environ and not _presence:
        os.environ["DATABASE_URL"] = _join_embedded_server()
    # A worker of pytest-xdist has it from the process that started it.
    return os.environ["DATABASE_URL"]


def stop_server_after_last_run() -> None:
    """Leave the embedded server; stop it where no other test run is using it."""
    while _presence:
        with _presence.pop() as presence:
            # Not at once the other lock: two that end together would both keep theirs.
            fcntl.flock(presence, fcntl.LOCK_UN)
            if _locked_exclusively(presence):
                embedded_postgres.stop(DATA_DIR)


def clone_database(template: str) -> str:
    """Return the name of a new database that has all that `template` has.

    For tests that commit: the ledger refuses TRUNCATE, so nothing can empty its tables
    again, and each such test gets a database to throw away. Nobody may be connected to
    `template` meanwhile.
    """
    # 63 bytes are what PostgreSQL keeps of a name.
    name = f"{template[:40]}_{uuid.uuid4().hex[:16]}"
    with _maintenance_connection() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return name


def drop_database(name: str) -> None:
    """Drop a database, ending the sessions that are left in it."""
    with _maintenance_connection() as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                sql.Identifier(name)
            )
        )


def database_url(name: str) -> str:
    """Return DATABASE_URL with another database's name."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def _join_embedded_server() -> str:
    DATA_DIR.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Kept open until the run ends: closing it gives the lock back.
    presence = _USERS.open("a")
    _presence.append(presence)
    alone = _locked_exclusively(presence)
    if alone:
        embedded_postgres.ensure_running(DATA_DIR)
        _drop_leftovers()
    fcntl.flock(presence, fcntl.LOCK_SH)
    # Whoever was last may have stopped it before the lock was ours.
    embedded_postgres.ensure_running(DATA_DIR)
    # A name of its own for each run: runs at the same time do not meet.
    return embedded_postgres.url(DATA_DIR, database=f"run_{os.getpid()}")


def _locked_exclusively(presence: IO[str]) -> bool:
    try:
        fcntl.flock(presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _drop_leftovers() -> None:
    """Drop what runs that were killed have left behind."""
    address = embedded_postgres.url(DATA_DIR, database="postgres")
    with psycopg.connect(address, autocommit=True) as connection:
        leftovers = connection.execute(
            "SELECT datname FROM pg_database WHERE datname ~ '^(test_)?run_'"
        ).fetchall()
        for (name,) in leftovers:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _maintenance_connection() -> psycopg.Connection:
    return psycopg.connect(database_url("postgres"), autocommit=True)
