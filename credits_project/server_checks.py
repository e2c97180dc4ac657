"""Is this PostgreSQL one that keeps what it was told?

An acknowledged transfer must survive a crash. Web servers and workers refuse to start
on a server that would lose it, and `manage.py check --database default` (and `migrate`,
which runs it) says why. What a session itself can decide is asked for with every new
connection, in the settings; that wins over what a role, a database or the server's own
file says. What only the server decides is looked at here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from credits_project.database_roles import MONEY

logger = logging.getLogger(__name__)

OLDEST_VERSION: Final = 150000
_HOW_TO_SET: Final = "Set it in postgresql.conf, and not off for any role or database."

_LOOK: Final = """
SELECT current_setting('server_version_num')::int AS version,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('default_transaction_isolation') AS isolation,
    current_setting('session_replication_role') AS replication_role,
    current_setting('data_checksums') AS data_checksums,
    current_setting('lock_timeout') AS lock_timeout,
    current_setting('statement_timeout') AS statement_timeout,
    ARRAY(
        SELECT relname::text FROM pg_class
        WHERE relnamespace = to_regnamespace('public') AND relpersistence <> 'p'
          AND relname = ANY (%s) ORDER BY relname
    ) AS unlogged,
    EXISTS (
        SELECT FROM pg_class JOIN pg_roles ON rolname = current_user
        WHERE relnamespace = to_regnamespace('public') AND relname = ANY (%s)
          AND (rolsuper OR pg_has_role(relowner, 'MEMBER'))
    ) AS is_owner
"""


@dataclass(frozen=True, slots=True)
class _Server:
    """What a session of the site finds."""

    version: int
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    isolation: str
    replication_role: str
    data_checksums: str
    lock_timeout: str
    statement_timeout: str
    unlogged: list[str]
    is_owner: bool


class UnsafeServer(ImproperlyConfigured):
    """The database server would lose or falsify what it acknowledged."""


@register(Tags.database)
def check_server(
    app_configs: Any, databases: Iterable[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Return what is unsafe about the server that the ledger is kept on."""
    # A replica's durability is not what an acknowledgement rests on.
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    return list(_findings(connections[DEFAULT_DB_ALIAS]))


@register(Tags.database, deploy=True)
def check_role(
    app_configs: Any, databases: Iterable[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Return a warning where the site could switch the ledger's guards off."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    if not _look_at(connections[DEFAULT_DB_ALIAS]).is_owner:
        return []
    return [
        Warning(
            "The site connects as a role that owns the ledger's tables: whoever makes"
            " it run SQL can switch the guards off.",
            hint="`manage.py database_roles` makes a role that cannot.",
            id="credits.W103",
        )
    ]


def refuse_unsafe_server() -> None:
    """Return if the server is safe.

    Raises:
        UnsafeServer: it is not; the message is one line for the operator.
        django.db.Error: it cannot be asked now.
    """
    database = connections[DEFAULT_DB_ALIAS]
    errors = [each for each in _findings(database) if isinstance(each, Error)]
    if errors:
        raise UnsafeServer(" ".join(str(each.msg) for each in errors))


def guarded(application: Callable[..., Any]) -> Callable[..., Any]:
    """Return the WSGI application, which serves nothing from an unsafe server.

    A server that cannot be reached is no reason not to start: it is looked at again
    with each request until it answers.

    Raises:
        SystemExit: the server is unsafe.
    """
    try:
        verdict = _verdict()
    finally:
        # This thread serves no requests.
        connections[DEFAULT_DB_ALIAS].close()
    if verdict:
        raise SystemExit(f"The site does not start. {verdict}")

    def serve(environ: Any, start_response: Callable[..., Any]) -> Any:
        nonlocal verdict
        if verdict is None:
            verdict = _verdict()
            if verdict:
                logger.critical("nothing is served: %s", verdict)
        if verdict:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"The database is not safe to use; the log says why.\n"]
        return application(environ, start_response)

    return serve


def _verdict() -> str | None:
    """Return why the server is refused, nothing if it is safe, None if unknown."""
    try:
        refuse_unsafe_server()
    except UnsafeServer as error:
        return str(error)
    except DatabaseError as error:
        reason = str(error).strip().splitlines()[0]
        logger.warning("the database server cannot be looked at yet: %s", reason)
        return None
    return ""


def _look_at(database: BaseDatabaseWrapper) -> _Server:
    tables = [*MONEY]
    with database.cursor() as cursor:
        cursor.execute(_LOOK, [tables, tables])
        row = cursor.fetchone()
    assert row is not None, "the query has one row"
    return _Server(*row)


def _findings(database: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    options = database.settings_dict["OPTIONS"]
    if options.get("server_side_binding"):
        yield Error(
            "server_side_binding is on: whole numbers of 2^31 and more would be cut to"
            " 32 bits without an error.",
            id="credits.E105",
        )
    server = _look_at(database)
    if server.version < OLDEST_VERSION:
        yield Error(
            f"PostgreSQL 15 or newer is needed, not {server.version // 10000}.",
            id="credits.E101",
        )
    for setting in ("fsync", "full_page_writes"):
        if getattr(server, setting) != "on":
            yield Error(
                f"{setting} is off: a crash of the machine would damage the ledger.",
                hint=_HOW_TO_SET,
                id="credits.E102",
            )
    yield from _session_findings(server)
    if server.unlogged:
        yield Error(
            f"{', '.join(server.unlogged)} is UNLOGGED: a crash would empty it.",
            hint="ALTER TABLE … SET LOGGED.",
            id="credits.E106",
        )
    if server.data_checksums != "on":
        yield Warning(
            "data_checksums is off: a disk that returns other bytes is not noticed.",
            hint="pg_checksums --enable, with the server stopped.",
            id="credits.W101",
        )


def _session_findings(server: _Server) -> Iterator[CheckMessage]:
    # `local` does not wait for a synchronous replica and `remote_write` not for its
    # disk: after a failover what was acknowledged could be missing. Where there is no
    # such replica `on` costs the same as they do, so there is no reason for them.
    if server.synchronous_commit not in ("on", "remote_apply"):
        yield Error(
            f"synchronous_commit is {server.synchronous_commit}: what was acknowledged"
            " could be lost. It must be on or remote_apply.",
            hint=_HOW_TO_SET,
            id="credits.E103",
        )
    if server.isolation != "read committed":
        yield Error(
            f"default_transaction_isolation is {server.isolation}: the ledger reads"
            " anew after it has waited for a lock, which takes read committed.",
            hint=_HOW_TO_SET,
            id="credits.E104",
        )
    if server.replication_role != "origin":
        yield Error(
            f"session_replication_role is {server.replication_role}: the guards of the"
            " ledger would not run.",
            hint=_HOW_TO_SET,
            id="credits.E107",
        )
    if "0" in (server.lock_timeout, server.statement_timeout):
        yield Warning(
            "The time-outs do not reach the server: one stuck session could stop all.",
            hint="A connection pool must pass on `options`.",
            id="credits.W102",
        )
