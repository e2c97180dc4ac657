"""A PostgreSQL of the benchmarks' own, with the durability that production has."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from credits_project import embedded_postgres

_DATA_DIR = Path(__file__).resolve().parents[2] / ".data" / "bench-postgres"
_SETTINGS = {
    "FIELD_ENCRYPTION_KEY": secrets.token_urlsafe(48),
    "SECRET_KEY": secrets.token_urlsafe(64),
    "ALLOWED_HOSTS": "127.0.0.1",
    "LOG_LEVEL": "WARNING",
    "DJANGO_SETTINGS_MODULE": "credits_project.settings",
}


@contextmanager
def server() -> Iterator[None]:
    """Run a new, empty server; DATABASE_URL names it for this and child processes."""
    shutil.rmtree(_DATA_DIR, ignore_errors=True)
    embedded_postgres.ensure_running(_DATA_DIR, tethered=True)
    try:
        os.environ.update(_SETTINGS)
        os.environ["DATABASE_URL"] = embedded_postgres.url(
            _DATA_DIR, database="postgres"
        )
        yield
    finally:
        embedded_postgres.stop(_DATA_DIR)
        shutil.rmtree(_DATA_DIR, ignore_errors=True)


def url(name: str) -> str:
    """Return the address of a database of the server."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def use(name: str) -> None:
    """Have Django, here and in child processes, work on a database of the server."""
    from django.db import connections

    os.environ["DATABASE_URL"] = url(name)
    connections.close_all()
    connections["default"].settings_dict["NAME"] = name


def create(name: str, *, template: str = "template0") -> None:
    """Make a database, in place of one of that name; nobody may be in the template."""
    with psycopg.connect(url("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def run(name: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements, each in its own transaction; return the rows of the last."""
    rows: list[tuple[Any, ...]] = []
    with psycopg.connect(url(name), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    return rows


def cpu_seconds(backend: int) -> float:
    """Return the processor time that a server process has used so far (Linux)."""
    exact = Path(f"/proc/{backend}/schedstat")
    if exact.exists():
        return int(exact.read_text().split()[0]) / 1e9
    # In ticks of the kernel, which are as long as some transfers.
    fields = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
