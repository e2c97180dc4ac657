"""The guards themselves, as who owns the tables can take them away."""

from __future__ import annotations

from typing import Final

from tests.proof.attacks import (
    DENIED,
    HARMLESS,
    LOUD,
    Attack,
    Group,
    found,
)

ATTACKS: Final[list[Attack]] = []

_GUARD = found("guard")

a = Group("guards", ATTACKS)
for tries, sql in (
    ("disable one", "ALTER TABLE credit_transactions DISABLE TRIGGER"
     " ledger_append_only"),
    ("disable those of a table", "ALTER TABLE credit_wallets DISABLE TRIGGER USER"),
    ("leave one on for most sessions only", "ALTER TABLE credit_transactions"
     " ENABLE TRIGGER ledger_append_only"),
    ("turn one on for replicas only", "ALTER TABLE credit_wallets"
     " ENABLE REPLICA TRIGGER ledger_check_wallets"),
    ("drop one", "DROP TRIGGER ledger_append_only ON credit_transfers"),
    ("drop what several call", "DROP FUNCTION ledger_refuse_change CASCADE"),
    ("rename one", "ALTER TRIGGER ledger_check_wallets ON credit_wallets RENAME TO x"),
    ("rename what one calls", "ALTER FUNCTION ledger_check_wallets() RENAME TO x"),
    ("empty what one calls", "CREATE OR REPLACE FUNCTION ledger_check_wallets()"
     " RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp"
     " AS 'BEGIN RETURN NULL; END'"),
    ("let one look at other tables", "ALTER FUNCTION ledger_check_wallets()"
     " SET search_path = pg_temp, public"),
    ("let one look where the session looks", "ALTER FUNCTION"
     " ledger_check_transactions() RESET ALL"),
    ("run one with its owner's rights", "ALTER FUNCTION ledger_check_wallets()"
     " SECURITY DEFINER"),
    ("drop a check", "ALTER TABLE credit_wallets DROP CONSTRAINT"
     " wallets_creditwallet_balance_not_negative"),
    ("put a check back that looks at nothing old", "ALTER TABLE credit_holds DROP"
     " CONSTRAINT wallets_credithold_amount_in_range, ADD CONSTRAINT"
     " wallets_credithold_amount_in_range CHECK (amount > 0 AND amount < 1e12)"
     " NOT VALID"),
    ("drop the one row for a number", "ALTER TABLE credit_transactions DROP CONSTRAINT"
     " wallets_credittransaction_unique_sequence"),
    ("drop the one use of a key", "ALTER TABLE credit_transfers DROP CONSTRAINT"
     " wallets_credittransfer_unique_key"),
    ("drop a foreign key", "ALTER TABLE credit_transactions DROP CONSTRAINT"
     " credit_transactions_wallet_id_10358824_fk_credit_wallets_id"),
    ("let a column be unknown", "ALTER TABLE credit_transactions"
     " ALTER amount DROP NOT NULL"),
    ("let an amount have a third decimal", "SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE"
     " credit_transactions ALTER amount TYPE numeric(15,3)"),
    ("add a column", "ALTER TABLE credit_wallets ADD secret numeric"),
    ("put a trigger before the guards that changes rows", "CREATE FUNCTION more()"
     " RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.amount = 9; RETURN NEW; END';"
     " CREATE TRIGGER a BEFORE INSERT ON credit_holds FOR EACH ROW"
     " EXECUTE FUNCTION more()"),
    ("put a trigger before the guards that swallows rows", "CREATE FUNCTION swallow()"
     " RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
     " CREATE TRIGGER a BEFORE INSERT ON credit_transfers FOR EACH ROW"
     " EXECUTE FUNCTION swallow()"),
    ("put a rule in place of a statement", "CREATE RULE quiet AS ON UPDATE TO"
     " credit_wallets DO INSTEAD NOTHING"),
    ("put a rule beside a statement", "CREATE RULE more AS ON INSERT TO credit_holds"
     " DO ALSO UPDATE credit_wallets SET frozen_at = NULL"),
    ("hide rows by row security", "ALTER TABLE credit_wallets ENABLE ROW LEVEL"
     " SECURITY; CREATE POLICY mine ON credit_wallets USING (balance < 5)"),
    ("hide rows from the owner as well", "ALTER TABLE credit_holds FORCE ROW LEVEL"
     " SECURITY"),
    ("let a table add its rows", "CREATE TABLE more () INHERITS (credit_holds)"),
):  # fmt: skip
    a(tries, sql, _GUARD)
a(
    "disable the foreign keys' own triggers",
    "ALTER TABLE credit_transactions DISABLE TRIGGER ALL",
    DENIED,
    admin=_GUARD,
)
a(
    "change the catalog by hand",
    "SET allow_system_table_mods = on;"
    " UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname LIKE 'ledger%'",
    DENIED,
    admin=_GUARD,
)
a(
    "take the index of a unique rule away",
    "DROP INDEX wallets_credittransfer_unique_key",
    "DependentObjectsStillExist",
)
a(
    "book in a table that adds its rows, which has no triggers",
    "CREATE TABLE more () INHERITS (credit_transactions); INSERT INTO more"
    " (id, transfer_id, wallet_id, sequence, transaction_type, amount, balance_before,"
    " balance_after, created_at) SELECT 9000, :paid, id, sequence + 1, 'bonus', 5,"
    " balance, balance + 5, now() FROM credit_wallets WHERE id = :rich;"
    " UPDATE credit_wallets SET balance = balance + 5, sequence = sequence + 1"
    " WHERE id = :rich",
    found("I01", "I02", "guard"),
)
a(
    "make a table of the ledger a part of another",
    "CREATE TABLE whole (LIKE credit_holds) PARTITION BY RANGE (created_at);"
    " ALTER TABLE whole ATTACH PARTITION credit_holds FOR VALUES FROM (MINVALUE)"
    " TO (MAXVALUE); ALTER TABLE whole DETACH PARTITION credit_holds",
    HARMLESS,
)
a(
    "let a table be lost in a crash",
    "ALTER TABLE credit_holds SET UNLOGGED",
    _GUARD,
)
a(
    "let rows be lost in a crash that others point at",
    "ALTER TABLE credit_transfers SET UNLOGGED",
    "credit_transactions_transfer_id_aae32448_fk_credit_transfers_id",
)
for tries, sql in (
    ("put a view in a table's place", "ALTER TABLE credit_holds RENAME TO hidden;"
     " CREATE VIEW credit_holds AS SELECT * FROM hidden WHERE false"),
    ("put an empty table in a table's place", "ALTER TABLE credit_holds RENAME TO"
     " hidden; CREATE TABLE credit_holds (LIKE hidden INCLUDING ALL)"),
):  # fmt: skip
    a(tries, sql, found("I12", "guard"))
for tries, sql in (
    ("drop a column with its checks", "SET CONSTRAINTS ALL IMMEDIATE;"
     " ALTER TABLE credit_transactions DROP balance_before"),
    ("rename a table away", "ALTER TABLE credit_transactions RENAME TO hidden"),
    ("move a table to another schema", "CREATE SCHEMA away;"
     " ALTER TABLE credit_transactions SET SCHEMA away"),
    ("drop a table", "DROP TABLE credit_transactions"),
    ("drop everything", "DROP TABLE credit_wallets CASCADE;"
     " DROP TABLE credit_transfers CASCADE"),
):  # fmt: skip
    a(tries, sql, LOUD)
