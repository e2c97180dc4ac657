"""The SQL that gives a database its roles, and them their rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from credits_project.database_roles.policy import (
    APP_SETTINGS,
    HIDDEN,
    MONEY,
    REPORTED,
    SCHEMA,
    TABLE_PRIVILEGES,
    Names,
    rights_of_app,
)

_TRANSACTION_TIMEOUT_SINCE: Final = 170000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Database:
    """What there is in the database that the roles are for."""

    name: str
    version: int
    # Whether the one who sets the roles up has to become a member of the owner first.
    joins_owner: bool
    # Columns in their order, by table.
    tables: Mapping[str, list[str]]
    # (kind for ALTER, identity) of everything of which the owner is somebody else.
    not_owned: list[tuple[str, sql.Composable]]
    sequences: list[str]
    roles: frozenset[str]


def statements(
    database: BaseDatabaseWrapper, names: Names
) -> Iterator[tuple[str, list[sql.Composable]]]:
    """Yield the SQL, in parts with a title, to be run in one transaction.

    It takes no lock on a table once the owner owns them all, so that it can be run
    again at any time, after each migration.
    """
    found = _look_at(database, names)
    yield "The three roles", list(_make_roles(found, names))
    yield "The database and its schema", list(_close_to_public(found, names))
    yield "The owner owns everything", list(_give_to_owner(found, names))
    yield "What the app may do", list(_grant_to_app(found, names))
    yield "What readonly sees", list(_grant_to_readonly(found, names))
    yield "What later migrations make", list(_set_defaults(names))


def _sql(text: str, **names: str | sql.Composable) -> sql.Composed:
    parts = {
        key: sql.Identifier(name) if isinstance(name, str) else name
        for key, name in names.items()
    }
    return sql.SQL(text).format(**parts)


def _columns(names: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _make_roles(found: _Database, names: Names) -> Iterator[sql.Composable]:
    powerless = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    for role, login in (
        (names.owner, "NOLOGIN"),
        (names.app, "LOGIN"),
        (names.readonly, "LOGIN"),
    ):
        if role not in found.roles:
            yield _sql(f"CREATE ROLE {{role}} {login} {powerless}", role=role)
    # Whoever is the owner by membership could switch every guard off.
    yield _sql(
        "REVOKE {owner} FROM {roles}",
        owner=names.owner,
        roles=_columns([names.app, names.readonly]),
    )
    if found.joins_owner:
        # Only who may become the owner can give it something.
        yield _sql("GRANT {owner} TO CURRENT_USER", owner=names.owner)
    if names.deployer is not None:
        yield _sql(
            "GRANT {owner} TO {deployer}", owner=names.owner, deployer=names.deployer
        )
    settings = dict(APP_SETTINGS)
    if found.version >= _TRANSACTION_TIMEOUT_SINCE:
        # Older servers refuse a connection that asks for it, so it is the role's.
        settings["transaction_timeout"] = "30s"
    for role, wanted in (
        (names.app, settings),
        (names.readonly, {"default_transaction_read_only": "on"}),
    ):
        for name, value in wanted.items():
            yield _sql(
                f"ALTER ROLE {{role}} IN DATABASE {{database}} SET {name} = '{value}'",
                role=role,
                database=found.name,
            )


def _close_to_public(found: _Database, names: Names) -> Iterator[sql.Composable]:
    database = found.name
    # Everybody may connect and make temporary tables, unless it is taken away. A
    # temporary table can stand in front of a real one of its name.
    yield _sql("REVOKE ALL ON DATABASE {database} FROM PUBLIC", database=database)
    members = [names.owner, names.app, names.readonly]
    members += [] if names.deployer is None else [names.deployer]
    yield _sql(
        "REVOKE ALL ON DATABASE {database} FROM {roles}",
        database=database,
        roles=_columns([names.app, names.readonly]),
    )
    yield _sql(
        "GRANT CONNECT ON DATABASE {database} TO {roles}",
        database=database,
        roles=_columns(members),
    )
    schema = SCHEMA
    yield _sql(
        "ALTER SCHEMA {schema} OWNER TO {owner}", schema=schema, owner=names.owner
    )
    yield _sql("REVOKE ALL ON SCHEMA {schema} FROM PUBLIC", schema=schema)
    roles = _columns([names.app, names.readonly])
    yield _sql("REVOKE ALL ON SCHEMA {schema} FROM {roles}", schema=schema, roles=roles)
    yield _sql("GRANT USAGE ON SCHEMA {schema} TO {roles}", schema=schema, roles=roles)


def _give_to_owner(found: _Database, names: Names) -> Iterator[sql.Composable]:
    for kind, identity in found.not_owned:
        yield _sql(
            f"ALTER {kind} {{identity}} OWNER TO {{owner}}",
            identity=identity,
            owner=names.owner,
        )


def _grant_to_app(found: _Database, names: Names) -> Iterator[sql.Composable]:
    everyone = _columns([names.app, names.readonly])
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        yield _sql(
            f"REVOKE ALL ON ALL {kind} IN SCHEMA {{schema}} FROM PUBLIC, {{roles}}",
            schema=SCHEMA,
            roles=everyone,
        )
    rights = rights_of_app()
    for table in found.tables:
        if (may := rights.get(table)) is None:
            continue
        privileges = ", ".join(p for p in TABLE_PRIVILEGES if p in may.privileges)
        yield _sql(
            f"GRANT {privileges} ON {{table}} TO {{app}}",
            table=sql.Identifier(SCHEMA, table),
            app=names.app,
        )
        if may.update:
            yield _sql(
                "GRANT UPDATE ({columns}) ON {table} TO {app}",
                columns=_columns(sorted(may.update)),
                table=sql.Identifier(SCHEMA, table),
                app=names.app,
            )
    for sequence in found.sequences:
        yield _sql(
            "GRANT USAGE ON SEQUENCE {sequence} TO {app}",
            sequence=sql.Identifier(SCHEMA, sequence),
            app=names.app,
        )
    # What triggers call, and procrastinate's. All of them run with the caller's rights.
    yield _sql(
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {roles}",
        schema=SCHEMA,
        roles=_columns([names.app, names.owner]),
    )


def _grant_to_readonly(found: _Database, names: Names) -> Iterator[sql.Composable]:
    for table, columns in found.tables.items():
        if table not in MONEY and table not in REPORTED:
            continue
        hidden = HIDDEN.get(table)
        shown: sql.Composable = sql.SQL("")
        if hidden:
            shown = _sql(
                "({names})", names=_columns(c for c in columns if c not in hidden)
            )
        yield _sql(
            "GRANT SELECT {columns} ON {table} TO {readonly}",
            columns=shown,
            table=sql.Identifier(SCHEMA, table),
            readonly=names.readonly,
        )


def _set_defaults(names: Names) -> Iterator[sql.Composable]:
    # A new table may be one of money: until this is run again, the app adds and reads.
    yield _sql(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE EXECUTE ON FUNCTIONS"
        " FROM PUBLIC",
        owner=names.owner,
    )
    for privileges, kind in (
        ("SELECT, INSERT", "TABLES"),
        ("USAGE", "SEQUENCES"),
        ("EXECUTE", "FUNCTIONS"),
    ):
        yield _sql(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema}"
            f" GRANT {privileges} ON {kind} TO {{app}}",
            owner=names.owner,
            schema=SCHEMA,
            app=names.app,
        )


# What there is


_TABLES: Final = """
SELECT relname, array_agg(attname::text ORDER BY attnum)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND attnum > 0 AND NOT attisdropped
GROUP BY relname ORDER BY relname
"""

# What an extension brings is the extension's. A sequence that belongs to a column goes
# with its table.
_NOT_OWNED: Final = """
SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
       WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
       ELSE 'TABLE' END, relname, NULL
FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
  AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
      SELECT FROM pg_depend WHERE objid = pg_class.oid
        AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i', 'e')
        AND refclassid IN ('pg_class'::regclass, 'pg_extension'::regclass)
  ) AND pg_get_userbyid(relowner) <> %(owner)s
UNION ALL
SELECT 'ROUTINE', proname, pg_get_function_identity_arguments(oid)
FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace AND NOT EXISTS (
    SELECT FROM pg_depend WHERE objid = pg_proc.oid
      AND classid = 'pg_proc'::regclass AND deptype = 'e'
  ) AND pg_get_userbyid(proowner) <> %(owner)s
UNION ALL
SELECT 'TYPE', typname, NULL
FROM pg_type WHERE typnamespace = %(schema)s::regnamespace
  AND typtype IN ('e', 'd', 'r', 'c')
  AND (typrelid = 0 OR EXISTS (
      SELECT FROM pg_class WHERE oid = typrelid AND relkind = 'c'))
  AND NOT EXISTS (
    SELECT FROM pg_depend WHERE objid = pg_type.oid
      AND classid = 'pg_type'::regclass AND deptype = 'e'
  ) AND pg_get_userbyid(typowner) <> %(owner)s
ORDER BY 1, 2, 3
"""

# Of serial columns; an identity column needs no right to its sequence.
_SEQUENCES: Final = """
SELECT sequence.relname
FROM pg_class AS sequence
JOIN pg_depend ON objid = sequence.oid AND classid = 'pg_class'::regclass
  AND refclassid = 'pg_class'::regclass AND deptype = 'a'
JOIN pg_class AS rows ON rows.oid = refobjid
WHERE sequence.relkind = 'S' AND sequence.relnamespace = %s::regnamespace
  AND rows.relname = ANY (%s)
ORDER BY 1
"""

_JOINS_OWNER: Final = """
SELECT NOT rolsuper AND NOT coalesce(
    (SELECT pg_has_role(current_user, oid, 'MEMBER')
     FROM pg_roles WHERE rolname = %s), false)
FROM pg_roles WHERE rolname = current_user
"""


def _look_at(database: BaseDatabaseWrapper, names: Names) -> _Database:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), current_setting('server_version_num')"
        )
        name, version = cursor.fetchone()
        cursor.execute(_TABLES, [SCHEMA])
        tables = dict(cursor.fetchall())
        cursor.execute(_NOT_OWNED, {"schema": SCHEMA, "owner": names.owner})
        not_owned = [(kind, _identity(*rest)) for kind, *rest in cursor.fetchall()]
        cursor.execute(_SEQUENCES, [SCHEMA, list(rights_of_app())])
        sequences = [sequence for (sequence,) in cursor.fetchall()]
        cursor.execute("SELECT rolname FROM pg_roles")
        roles = frozenset(role for (role,) in cursor.fetchall())
        cursor.execute(_JOINS_OWNER, [names.owner])
        (joins_owner,) = cursor.fetchone()
    return _Database(
        name=name,
        version=int(version),
        joins_owner=joins_owner,
        tables=tables,
        not_owned=not_owned,
        sequences=sequences,
        roles=roles,
    )


def _identity(name: str, arguments: str | None) -> sql.Composable:
    identifier = sql.Identifier(SCHEMA, name)
    if arguments is None:
        return identifier
    # As the catalog prints it, quoted where it needs to be.
    return sql.SQL("{}({})").format(identifier, sql.SQL(arguments))
