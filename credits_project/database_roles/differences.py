"""Where a database gives its roles other rights than the policy does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from credits_project.database_roles.policy import (
    SCHEMA,
    TABLE_PRIVILEGES,
    Names,
    Rights,
    rights_of_app,
)

_NOTHING: Final = Rights(frozenset())

# In all schemas but PostgreSQL's own, whose tables the policy leaves alone.
_USERS_SCHEMAS: Final = "nspname <> 'information_schema' AND nspname !~ '^pg_'"

_ATTRIBUTES: Final = """
SELECT rolname, rolcanlogin,
    rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
FROM pg_roles WHERE rolname = ANY (%s)
"""

# pg_has_role would say yes of roles that a member of a member has; this is the cause.
_MEMBERSHIPS: Final = """
SELECT member.rolname, role.rolname
FROM pg_auth_members
JOIN pg_roles AS member ON member.oid = pg_auth_members.member
JOIN pg_roles AS role ON role.oid = roleid
WHERE member.rolname = ANY (%s) ORDER BY 1, 2
"""

_OWNERS: Final = f"""
SELECT nspname, relname, pg_get_userbyid(relowner)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE {_USERS_SCHEMAS} AND relkind IN ('r', 'p') ORDER BY 1, 2
"""  # noqa: S608 - a constant

# Also what comes from PUBLIC.
_TABLE_RIGHTS: Final = f"""
SELECT nspname, relname, privilege
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace,
    unnest(%(privileges)s::text[]) AS privilege
WHERE {_USERS_SCHEMAS} AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND has_schema_privilege(%(role)s, pg_namespace.oid, 'USAGE')
  AND has_table_privilege(%(role)s, pg_class.oid, privilege)
"""  # noqa: S608 - a constant

_COLUMN_RIGHTS: Final = f"""
SELECT nspname, relname, attname
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
WHERE {_USERS_SCHEMAS} AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND has_schema_privilege(%(role)s, pg_namespace.oid, 'USAGE')
  AND has_column_privilege(%(role)s, pg_class.oid, attnum, 'UPDATE')
  AND NOT has_table_privilege(%(role)s, pg_class.oid, 'UPDATE')
"""  # noqa: S608 - a constant

_MAY_CREATE: Final = """
SELECT format('create in schema %%s', nspname) FROM pg_namespace
WHERE has_schema_privilege(%(role)s, oid, 'CREATE')
UNION ALL
SELECT 'create schemas' WHERE
    has_database_privilege(%(role)s, current_database(), 'CREATE')
UNION ALL
SELECT 'create temporary tables' WHERE
    has_database_privilege(%(role)s, current_database(), 'TEMPORARY')
ORDER BY 1
"""


def differences(database: BaseDatabaseWrapper, names: Names) -> list[str]:
    """Return a sentence for everything that is not as the policy says."""
    with database.cursor() as cursor:
        return list(_differences(cursor, names))


def _differences(cursor: Any, names: Names) -> Iterator[str]:
    three = [names.owner, names.app, names.readonly]
    cursor.execute(_ATTRIBUTES, [three])
    found = {
        role: (may_log_in, powers) for role, may_log_in, powers in cursor.fetchall()
    }
    if missing := [role for role in three if role not in found]:
        yield f"There is no role {', '.join(missing)}."
        return
    for role, (may_log_in, is_powerful) in found.items():
        if is_powerful:
            yield f"{role} is a superuser or has another attribute of power."
        if role == names.owner and may_log_in:
            yield f"{role} can log in."
    cursor.execute(_MEMBERSHIPS, [[names.app, names.readonly]])
    yield from (
        f"{member} is a member of {role}." for member, role in cursor.fetchall()
    )
    cursor.execute(_OWNERS)
    for schema, table, owner in cursor.fetchall():
        is_ours = schema == SCHEMA
        if (is_ours and owner != names.owner) or owner in three[1:]:
            yield f"{schema}.{table} belongs to {owner}."
    for role in (names.app, names.readonly):
        cursor.execute(_MAY_CREATE, {"role": role})
        yield from (f"{role} may {deed}." for (deed,) in cursor.fetchall())
    yield from _of_app(cursor, names.app)
    yield from _of_readonly(cursor, names.readonly)


def _of_app(cursor: Any, app: str) -> Iterator[str]:
    may = _rights_found(cursor, app)
    should = {
        (SCHEMA, table): rights
        for table, rights in rights_of_app().items()
        if _exists(cursor, table)
    }
    for key in sorted(may.keys() | should.keys()):
        has, wanted = may.get(key, _NOTHING), should.get(key, _NOTHING)
        name = ".".join(key)
        for privilege in sorted(has.privileges - wanted.privileges):
            yield f"{app} may {privilege} {name}."
        for privilege in sorted(wanted.privileges - has.privileges):
            yield f"{app} may not {privilege} {name}."
        if "UPDATE" not in has.privileges:
            for column in sorted(has.update - wanted.update):
                yield f"{app} may UPDATE {name}.{column}."
            for column in sorted(wanted.update - has.update):
                yield f"{app} may not UPDATE {name}.{column}."


def _of_readonly(cursor: Any, readonly: str) -> Iterator[str]:
    for key, rights in sorted(_rights_found(cursor, readonly).items()):
        name = ".".join(key)
        for privilege in sorted(rights.privileges - {"SELECT"}):
            yield f"{readonly} may {privilege} {name}."
        for column in sorted(rights.update):
            yield f"{readonly} may UPDATE {name}.{column}."


def _rights_found(cursor: Any, role: str) -> dict[tuple[str, str], Rights]:
    cursor.execute("SELECT current_setting('server_version_num')::int >= 170000")
    (has_maintain,) = cursor.fetchone()
    asked = [*TABLE_PRIVILEGES, "MAINTAIN"] if has_maintain else [*TABLE_PRIVILEGES]
    cursor.execute(_TABLE_RIGHTS, {"role": role, "privileges": asked})
    privileges: dict[tuple[str, str], set[str]] = {}
    for schema, table, privilege in cursor.fetchall():
        privileges.setdefault((schema, table), set()).add(privilege)
    cursor.execute(_COLUMN_RIGHTS, {"role": role})
    columns: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in cursor.fetchall():
        columns.setdefault((schema, table), set()).add(column)
    return {
        key: Rights(frozenset(privileges.get(key, ())), frozenset(columns.get(key, ())))
        for key in privileges.keys() | columns.keys()
    }


def _exists(cursor: Any, table: str) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f'{SCHEMA}."{table}"'])
    (there,) = cursor.fetchone()
    return bool(there)
