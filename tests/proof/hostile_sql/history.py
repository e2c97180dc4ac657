"""What was booked: edited, deleted, emptied."""

from __future__ import annotations

from typing import Final

from tests.proof.attacks import (
    DENIED,
    HARMLESS,
    Attack,
    Group,
)

ATTACKS: Final[list[Attack]] = []

_APPEND = "ledger_append_only"

a = Group("editing history", ATTACKS)
for tries, sql in (
    ("change an amount", "UPDATE credit_transactions SET amount = amount + 1"),
    ("change nothing, to see whether one could", "UPDATE credit_transactions SET"
     " amount = amount"),
    ("change the time of a row", "UPDATE credit_transactions SET created_at = now()"),
    ("give a row to another wallet", "UPDATE credit_transactions SET wallet_id = :poor"
     " WHERE wallet_id = :rich"),
    ("give a row another id", "UPDATE credit_transactions SET id = id + 1000"),
    ("change what a transfer was for", "UPDATE credit_transfers SET description = 'x'"),
    ("change who did it", "UPDATE credit_transfers SET actor_id = :poor_user"),
    ("change its facts", "UPDATE credit_transfers SET metadata = '{\"bonus\": 5}'"),
    ("free a key to use it again", "UPDATE credit_transfers SET key = 'x' || key"),
    ("make a transfer a reversal of another", "UPDATE credit_transfers SET reverses_id"
     " = :paid WHERE id = :last"),
    ("edit with a join", "UPDATE credit_transactions SET amount = 0.01 FROM"
     " credit_wallets WHERE wallet_id = credit_wallets.id"),
    ("edit in a WITH", "WITH edited AS (UPDATE credit_transactions SET amount = 1"
     " RETURNING *) SELECT count(*) FROM edited"),
    ("edit through a cursor", "DECLARE c CURSOR FOR SELECT * FROM credit_transactions"
     " FOR UPDATE; FETCH c; UPDATE credit_transactions SET amount = 1"
     " WHERE CURRENT OF c"),
    ("edit by ON CONFLICT", "INSERT INTO credit_transfers SELECT * FROM"
     " credit_transfers WHERE id = :paid ON CONFLICT (id) DO UPDATE SET description ="
     " 'x'"),
    ("edit rows by ON CONFLICT", "INSERT INTO credit_transactions SELECT * FROM"
     " credit_transactions WHERE transfer_id = :paid ON CONFLICT (transfer_id,"
     " wallet_id) DO UPDATE SET amount = 1"),
    ("edit by MERGE", "MERGE INTO credit_transactions AS t USING credit_wallets AS w"
     " ON t.wallet_id = w.id WHEN MATCHED THEN UPDATE SET amount = 1"),
    ("edit by a prepared statement", "PREPARE e AS UPDATE credit_transactions SET"
     " amount = 1; EXECUTE e"),
    ("edit in a DO block", "DO $$BEGIN UPDATE credit_transactions SET amount = 1;"
     " END$$"),
    ("edit in a DO block that writes its own SQL", "DO $$BEGIN EXECUTE 'UPDATE"
     " credit_transactions SET amount = 1'; END$$"),
):  # fmt: skip
    a(tries, sql, _APPEND)
a(
    "edit through a view",
    "CREATE VIEW mine AS SELECT * FROM credit_transactions; UPDATE mine SET amount = 1",
    _APPEND,
)
a(
    "edit in a function with its owner's rights",
    "CREATE FUNCTION edit() RETURNS void LANGUAGE sql SECURITY DEFINER AS"
    " 'UPDATE credit_transactions SET amount = 1'; SELECT edit()",
    _APPEND,
)
a(
    "edit and swallow the refusal",
    "DO $$BEGIN UPDATE credit_transactions SET amount = 1;"
    " EXCEPTION WHEN OTHERS THEN NULL; END$$",
    HARMLESS,
    HARMLESS,
)
a(
    "edit with triggers off for the session",
    "SET session_replication_role = replica; UPDATE credit_transactions SET amount = 1",
    DENIED,
    admin=_APPEND,
)
a(
    "edit with triggers off by a function",
    "SELECT set_config('session_replication_role', 'replica', true);"
    " UPDATE credit_transfers SET description = 'x'",
    DENIED,
    admin=_APPEND,
)

a = Group("deleting", ATTACKS)
for tries, sql in (
    ("delete the rows", "DELETE FROM credit_transactions"),
    ("delete one row", "DELETE FROM credit_transactions WHERE transfer_id = :paid"),
    ("delete the transfers", "DELETE FROM credit_transfers"),
    ("delete a wallet", "DELETE FROM credit_wallets WHERE id = :rich"),
    ("delete a wallet that was never used", "DELETE FROM credit_wallets"
     " WHERE id = :bare"),
    ("delete the holds", "DELETE FROM credit_holds"),
    ("delete a hold that is released", "DELETE FROM credit_holds"
     " WHERE released_at IS NOT NULL"),
    ("delete the seals", "DELETE FROM credit_seals"),
    ("delete by MERGE", "MERGE INTO credit_transactions AS t USING credit_wallets AS w"
     " ON t.wallet_id = w.id WHEN MATCHED THEN DELETE"),
    ("delete with a join", "DELETE FROM credit_transactions USING credit_wallets"
     " WHERE wallet_id = credit_wallets.id"),
    ("delete in a WITH, to book it elsewhere", "WITH gone AS (DELETE FROM"
     " credit_transactions WHERE transfer_id = :paid RETURNING *)"
     " INSERT INTO credit_transactions SELECT * FROM gone"),
    ("delete through a cursor", "DECLARE c CURSOR FOR SELECT * FROM credit_transfers"
     " FOR UPDATE; FETCH c; DELETE FROM credit_transfers WHERE CURRENT OF c"),
):  # fmt: skip
    a(tries, sql, _APPEND)
a(
    "delete with triggers off for the session",
    "SET session_replication_role = replica; DELETE FROM credit_transactions",
    DENIED,
    admin=_APPEND,
)
a(
    "delete a user who has a wallet",
    "DELETE FROM auth_user WHERE id = :rich_user",
    "credit_wallets_user_id_f1892d5b_fk_auth_user_id",
)

a = Group("truncating", ATTACKS)
for tables in (
    "credit_transactions",
    "ONLY credit_transactions",
    "credit_transactions, credit_transfers CASCADE",
    "credit_transfers CASCADE",
    "credit_wallets CASCADE",
    "credit_holds",
    "credit_seals",
    "auth_user CASCADE",
    "credit_wallets, credit_transfers, credit_transactions, credit_holds,"
    " credit_seals RESTART IDENTITY CASCADE",
):
    a(f"empty {tables}", f"TRUNCATE {tables}", _APPEND)
a(
    "empty a table with triggers off for the session",
    "SET session_replication_role = replica; TRUNCATE credit_transactions",
    DENIED,
    admin=_APPEND,
)
