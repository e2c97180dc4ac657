"""What the roles of the database may do, and that nothing else is possible to them.

The whole ledger is tested with the app's role as well: see `tests/conftest.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from django.apps import apps

from credits_project.database_roles import MONEY, Names
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
