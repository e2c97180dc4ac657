"""The command that sets the roles of the database up, and says what differs."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from credits_project.database_roles import Names, differences
from tests.app_role import ROLES


def call(**options: Any) -> str:
    """Run the command on the tests' roles; return what it printed."""
    out = StringIO()
    roles = {"owner": ROLES.owner, "app": ROLES.app, "readonly": ROLES.readonly}
    call_command("database_roles", stdout=out, **{**roles, **options})
    return out.getvalue()


@pytest.mark.django_db
def test_a_database_with_its_roles_is_as_it_should_be(roles: Names):
    assert call() == "The roles have the rights they should have.\n"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("GRANT DELETE ON courses TO {app}", "{app} may DELETE public.courses."),
        (
            "GRANT UPDATE (key) ON credit_transfers TO PUBLIC",
            "{app} may UPDATE public.credit_transfers.key.",
        ),
        (
            "REVOKE UPDATE (held) ON credit_wallets FROM {app}",
            "{app} may not UPDATE public.credit_wallets.held.",
        ),
        (
            "REVOKE INSERT ON payouts FROM {app}",
            "{app} may not INSERT public.payouts.",
        ),
        (
            "GRANT INSERT ON courses TO {readonly}",
            "{readonly} may INSERT public.courses.",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            "{app} may create in schema public.",
        ),
        (
            "CREATE SCHEMA other AUTHORIZATION {app}",
            "{app} may create in schema other.",
        ),
        (
            "GRANT TEMPORARY ON DATABASE {database} TO PUBLIC",
            "{app} may create temporary tables.",
        ),
        ("GRANT {owner} TO {app}", "{app} is a member of {owner}."),
        ("GRANT pg_write_all_data TO {app}", "{app} is a member of pg_write_all_data."),
        ("ALTER ROLE {app} BYPASSRLS", "{app} is a superuser or has another attribute"),
        ("ALTER ROLE {owner} LOGIN", "{owner} can log in."),
        ("ALTER TABLE courses OWNER TO {app}", "public.courses belongs to {app}."),
    ],
)
def test_what_differs_is_found_and_put_right_where_the_command_may(
    roles: Names, change: str, found: str
):
    names = {"owner": roles.owner, "app": roles.app, "readonly": roles.readonly}
    database = f'"{connection.settings_dict["NAME"]}"'
    with connection.cursor() as cursor:
        cursor.execute(change.format(database=database, **names))

    with pytest.raises(CommandError) as refusal:
        call()

    assert found.format(**names) in str(refusal.value)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        "GRANT ALL ON credit_transactions TO PUBLIC",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO {app}",
        "GRANT UPDATE (key) ON credit_transfers TO {app}",
        "REVOKE ALL ON credit_wallets FROM {app}",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "GRANT TEMPORARY ON DATABASE {database} TO PUBLIC",
        "GRANT {owner} TO {app}",
        "CREATE TABLE other (id int)",
    ],
)
def test_applying_it_again_puts_the_rights_right(roles: Names, change: str):
    names = {"owner": roles.owner, "app": roles.app}
    database = f'"{connection.settings_dict["NAME"]}"'
    with connection.cursor() as cursor:
        cursor.execute(change.format(database=database, **names))

    call(apply=True)

    assert differences(connection, ROLES) == []


@pytest.mark.django_db
def test_a_table_of_a_later_migration_can_be_added_to_and_not_changed(roles: Names):
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {roles.owner}")
        cursor.execute("CREATE TABLE later (id int)")
        cursor.execute(f"SET ROLE {roles.app}")
        cursor.execute("INSERT INTO later VALUES (1)")
        cursor.execute(
            "SELECT has_table_privilege('later', 'UPDATE'),"
            " has_table_privilege('later', 'DELETE')"
        )

        assert cursor.fetchone() == (False, False)


@pytest.mark.django_db
def test_the_sql_can_be_read_before_it_is_run(roles: Names):
    printed = call(print=True)

    assert printed.startswith("BEGIN;\n\n-- The three roles.\n")
    assert printed.endswith("COMMIT;\n")
    assert (
        'GRANT UPDATE ("balance", "frozen_at", "frozen_reason", "held", "sequence",'
        f' "updated_at") ON "public"."credit_wallets" TO "{roles.app}";'
    ) in printed
    with connection.cursor() as cursor:
        cursor.execute(printed.replace("BEGIN;", "").replace("COMMIT;", ""))


@pytest.mark.django_db
def test_roles_need_three_names():
    with pytest.raises(CommandError, match="three names"):
        call(app=ROLES.owner)


@pytest.mark.django_db
def test_a_role_that_may_not_set_them_up_is_told_so(roles: Names):
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {roles.app}")

    with pytest.raises(CommandError, match="It takes a superuser"):
        call(apply=True)


@pytest.mark.usefixtures("as_owner")
def test_whoever_owns_the_database_can_set_them_up_without_being_a_superuser(
    committed: str, roles: Names
):
    login = f"{committed[-20:]}_login"
    names = {part: f"{committed[-20:]}_{part}" for part in ("owner", "app", "readonly")}
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE ROLE "{login}" CREATEROLE')
        cursor.execute(f'GRANT {roles.owner} TO "{login}"')
        cursor.execute(f'ALTER DATABASE "{committed}" OWNER TO "{login}"')
        cursor.execute(f'SET ROLE "{login}"')
    try:
        call(apply=True, **names)

        assert differences(connection, Names(**names)) == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute(f'ALTER DATABASE "{committed}" OWNER TO CURRENT_USER')
            for name in (*names.values(), login):
                cursor.execute(f'REASSIGN OWNED BY "{name}" TO CURRENT_USER')
                cursor.execute(f'DROP OWNED BY "{name}"')
            for name in (*names.values(), login):
                cursor.execute(f'DROP ROLE "{name}"')
