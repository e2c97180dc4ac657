"""What the roles of the database may do, and that nothing else is possible to them.

The whole ledger is tested with the app's role as well: see `tests/conftest.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from credits_project.database_roles import MONEY, Names, differences
from tests.app_role import ROLES, log_in

# What the app may not do

# With the names of the ledger's rows: {payer}, {payee}: wallets; {owner}: the role.
ATTACKS = {
    "change what was booked": [
        "UPDATE credit_transactions SET amount = amount * 2",
        "UPDATE credit_transfers SET description = 'other'",
        "UPDATE credit_transfers SET metadata = '{{}}' WHERE false",
        "UPDATE credit_seals SET digest = ''",
        "UPDATE payout_attempts SET outcome = 'accepted'",
        "UPDATE payout_rates SET rate = 1000",
        "UPDATE enrollment_refunds SET amount = 1",
        "UPDATE credit_purchase_refunds SET money = 1",
        "UPDATE django_admin_log SET change_message = ''",
        "SELECT 1 FROM credit_transactions FOR UPDATE",
        "SELECT 1 FROM credit_transfers FOR KEY SHARE",
    ],
    "remove what was booked": [
        *(f"DELETE FROM {table}" for table in MONEY),
        *(f"TRUNCATE {table} CASCADE" for table in MONEY),
        "DELETE FROM django_admin_log",
        "DELETE FROM auth_user",
        "DELETE FROM django_migrations",
    ],
    "touch what no service touches": [
        "UPDATE credit_wallets SET user_id = NULL, code = 'issued:9'",
        "UPDATE credit_wallets SET code = 'issued:9' WHERE id = '{payer}'",
        "UPDATE credit_wallets SET id = '{payee}' WHERE id = '{payer}'",
        "UPDATE credit_wallets SET created_at = now()",
        "UPDATE credit_holds SET amount = 0.01",
        "UPDATE credit_holds SET wallet_id = '{payee}'",
        "UPDATE payout_methods SET usable_from = now()",
        "UPDATE payout_methods SET account_number_encrypted = ''",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('a', 'b', now())",
    ],
    "change rows by the way of inserting them": [
        "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
        " SELECT id, key, '', '{{}}', now() FROM credit_transfers"
        " ON CONFLICT (id) DO UPDATE SET description = 'other'",
        "INSERT INTO credit_wallets"
        " (id, user_id, balance, held, sequence, frozen_reason, created_at, updated_at)"
        " SELECT id, user_id, 0, 0, 0, '', now(), now() FROM credit_wallets"
        " ON CONFLICT (id) DO UPDATE SET user_id = NULL",
        "MERGE INTO credit_transactions AS t USING credit_wallets AS w"
        " ON t.wallet_id = w.id WHEN MATCHED THEN DELETE",
        "MERGE INTO credit_transactions AS t USING credit_wallets AS w"
        " ON t.wallet_id = w.id WHEN MATCHED THEN UPDATE SET amount = 1",
        "MERGE INTO credit_wallets AS t USING credit_wallets AS w"
        " ON t.id = w.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM credit_transactions RETURNING 1) TABLE gone",
    ],
    "take the guards away": [
        "ALTER TABLE credit_transactions DISABLE TRIGGER ALL",
        "ALTER TABLE credit_transactions DISABLE TRIGGER ledger_append_only",
        "DROP TRIGGER ledger_append_only ON credit_transactions",
        "ALTER TABLE credit_wallets DROP CONSTRAINT"
        " wallets_creditwallet_balance_not_negative",
        "ALTER TABLE credit_transactions SET UNLOGGED",
        "ALTER TABLE credit_transactions RENAME TO other",
        "ALTER TABLE credit_wallets OWNER TO CURRENT_USER",
        "DROP TABLE credit_transactions CASCADE",
        "DROP FUNCTION ledger_refuse_change() CASCADE",
        "ALTER FUNCTION ledger_refuse_change() RESET ALL",
        "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger"
        " LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "CREATE TRIGGER other BEFORE INSERT ON credit_transactions FOR EACH ROW"
        " EXECUTE FUNCTION ledger_refuse_change()",
        "CREATE RULE other AS ON INSERT TO credit_transactions DO INSTEAD NOTHING",
        "CREATE POLICY other ON credit_transactions",
        "CREATE INDEX other ON credit_transactions (amount)",
        "SET session_replication_role = replica",
        "SELECT set_config('session_replication_role', 'replica', false)",
    ],
    "put something in front of the tables": [
        "CREATE TABLE other (id int)",
        "CREATE TABLE other (id uuid REFERENCES credit_wallets)",
        "CREATE VIEW other AS TABLE credit_wallets",
        "CREATE TEMP TABLE credit_wallets (id uuid, balance numeric)",
        "CREATE TEMP VIEW credit_wallets AS SELECT 1 AS id",
        "CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION pg_temp.other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION sum(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0'",
        "CREATE OPERATOR <> (LEFTARG = numeric, RIGHTARG = numeric,"
        " FUNCTION = numeric_eq)",
        "CREATE TYPE other AS ENUM ('a')",
        "CREATE SEQUENCE other",
        "CREATE SCHEMA other",
        "DROP EXTENSION plpgsql CASCADE",
        "ALTER SCHEMA public RENAME TO other",
    ],
    "become somebody else": [
        "SET ROLE {owner}",
        "SET SESSION AUTHORIZATION {owner}",
        "GRANT {owner} TO CURRENT_USER",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "ALTER ROLE {owner} LOGIN",
        "CREATE ROLE other SUPERUSER",
        "REASSIGN OWNED BY {owner} TO CURRENT_USER",
        "DROP OWNED BY {owner}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT ALL ON TABLES TO PUBLIC",
    ],
    "leave the database": [
        "COPY credit_transactions TO PROGRAM 'cat'",
        "COPY credit_transactions FROM PROGRAM 'true'",
        "COPY credit_transactions TO '/tmp/other'",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/other')",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "CREATE FUNCTION other() RETURNS int LANGUAGE c AS 'libc', 'getpid'",
    ],
    "change the server": [
        "ALTER DATABASE {database} SET synchronous_commit = off",
        "SELECT pg_reload_conf()",
        "SELECT pg_switch_wal()",
        "SELECT setval('procrastinate_jobs_id_seq', 1)",
        "SELECT setval(pg_get_serial_sequence('credit_transactions', 'id'), 1)",
        "SELECT nextval(pg_get_serial_sequence('credit_transactions', 'id'))",
        "CLUSTER credit_transactions USING credit_transactions_pkey",
        "REINDEX TABLE credit_transactions",
        "COMMENT ON TABLE credit_transactions IS 'other'",
    ],
    "stop everybody else": [
        "LOCK TABLE credit_wallets IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE credit_wallets IN SHARE ROW EXCLUSIVE MODE",
        "LOCK TABLE credit_transactions IN EXCLUSIVE MODE",
    ],
}


@pytest.fixture
def intruder(roles: Names) -> Iterator[psycopg.Connection]:
    """Somebody who has got the app's login, and nothing else."""
    with log_in(roles.app) as session:
        yield session
        session.rollback()


def attempt(session: psycopg.Connection, attack: str) -> None:
    statement = attack.format(
        payer=uuid.uuid4(),
        payee=uuid.uuid4(),
        owner=ROLES.owner,
        database=f'"{session.info.dbname}"',
    )
    session.execute(statement.encode())


@pytest.mark.parametrize(
    ("aim", "attack"),
    [(aim, attack) for aim, attacks in ATTACKS.items() for attack in attacks],
)
def test_the_app_is_not_allowed_to(intruder: psycopg.Connection, aim: str, attack: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(intruder, attack)


def test_the_app_is_not_allowed_to_change_the_servers_settings(roles: Names):
    # Not possible in a transaction, whoever asks.
    with (
        log_in(roles.app, autocommit=True) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        attempt(session, "ALTER SYSTEM SET fsync = off")


@pytest.mark.parametrize(
    "attack",
    [
        *(f"INSERT INTO {table} DEFAULT VALUES" for table in MONEY),
        "UPDATE credit_wallets SET balance = 1",
        "DELETE FROM django_session",
        "TRUNCATE courses CASCADE",
        "CREATE TEMP TABLE other (id int)",
        "SET ROLE {owner}",
        "SELECT password FROM auth_user",
        "SELECT * FROM auth_user",
        "SELECT body FROM gateway_events",
        "SELECT account_number_encrypted FROM withdrawal_requests",
        "SELECT * FROM django_session",
        "SELECT * FROM mfa_authenticator",
        "SELECT procrastinate_prune_stalled_workers_v1(0)",
    ],
)
def test_readonly_is_not_allowed_to(roles: Names, attack: str):
    with log_in(roles.readonly) as session:
        # It takes anybody but a second to say that they want to write.
        session.execute("SET TRANSACTION READ WRITE")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(session, attack)

        session.rollback()


@pytest.mark.parametrize("table", [*MONEY, "django_admin_log"])
def test_readonly_sees_every_table_of_money(roles: Names, table: str):
    with log_in(roles.readonly) as session:
        session.execute(f"SELECT count(*) FROM {table}".encode())


def test_readonly_begins_its_sessions_unable_to_write(roles: Names):
    with log_in(roles.readonly) as session:
        answer = session.execute("SHOW default_transaction_read_only").fetchone()

    assert answer == ("on",)


def test_sessions_of_the_app_have_time_outs_whoever_starts_them(
    intruder: psycopg.Connection,
):
    names = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
    wanted = ["3s", "10s", "15s"]
    if intruder.info.server_version >= 170000:
        names.append("transaction_timeout")
        wanted.append("30s")

    found = [intruder.execute(f"SHOW {name}".encode()).fetchone() for name in names]

    assert found == [(limit,) for limit in wanted]


# The policy


def test_it_is_decided_for_every_table_of_ours_what_the_app_may_do_with_it():
    ours = {"wallets", "payments", "courses", "withdrawals"}
    tables = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in ours
    }

    assert tables <= MONEY.keys()


def test_the_app_removes_no_row_of_money():
    assert [name for name, may in MONEY.items() if "DELETE" in may.privileges] == []


# The command


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
