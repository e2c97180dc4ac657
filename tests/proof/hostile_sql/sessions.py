"""Transactions, sessions and names: what SQL allows around a statement."""

from __future__ import annotations

from typing import Final

from tests.proof.attacks import (
    DENIED,
    HARMLESS,
    SEALS,
    Attack,
    Group,
    found,
    movement,
)

ATTACKS: Final[list[Attack]] = []

_APPEND = "ledger_append_only"
_BALANCED = "ledger_transfer_balanced"
_FOLLOWS = "ledger_wallet_follows"
_GUARD = found("guard")
_PAY = (":poor", "1"), (":rich", "-1")

a = Group("putting off and taking back", ATTACKS)
a(
    "put every check off",
    "SET CONSTRAINTS ALL DEFERRED;"
    " UPDATE credit_wallets SET balance = balance + 1 WHERE id = :rich",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "take one of two statements back to a savepoint",
    "SAVEPOINT before; "
    + movement((":rich", "5"), (":opening", "-5"))
    + "; ROLLBACK TO before; UPDATE credit_wallets SET balance = balance + 5"
    " WHERE id = :rich",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "book in a savepoint and take it back whole",
    "SAVEPOINT before; "
    + movement((":rich", "5"), (":opening", "-5"))
    + "; ROLLBACK TO before",
    HARMLESS,
    HARMLESS,
)
a(
    "raise a balance and swallow the refusal",
    "DO $$BEGIN UPDATE credit_wallets SET balance = balance + 1;"
    " EXCEPTION WHEN OTHERS THEN NULL; END$$",
    HARMLESS,
    HARMLESS,
)
a(
    "leave a transfer prepared and uncommitted, with its locks",
    movement(*_PAY) + "; PREPARE TRANSACTION 'forged'",
    "ObjectNotInPrerequisiteState",
    "ObjectNotInPrerequisiteState",
)
a("lock everybody out", "LOCK TABLE credit_wallets IN ACCESS EXCLUSIVE MODE", HARMLESS)
a(
    "raise a balance by MERGE",
    "MERGE INTO credit_wallets AS t USING (SELECT :rich AS id) AS s ON t.id = s.id"
    " WHEN MATCHED THEN UPDATE SET balance = balance + 1",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "raise a balance by ON CONFLICT",
    "INSERT INTO credit_wallets (id, code, balance, held, sequence, frozen_reason,"
    " created_at, updated_at) VALUES (:rich, 'x', 0, 0, 0, '', now(), now())"
    " ON CONFLICT (id) DO UPDATE SET balance = credit_wallets.balance + 1",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "raise a balance through a cursor",
    "DECLARE c CURSOR FOR SELECT balance FROM credit_wallets WHERE id = :rich FOR NO"
    " KEY UPDATE; FETCH c; UPDATE credit_wallets SET balance = 99 WHERE CURRENT OF c",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "book half a transfer out of a program",
    "COPY credit_transactions (transfer_id, wallet_id, sequence, transaction_type,"
    " amount, balance_before, balance_after, created_at) FROM PROGRAM"
    ' \'echo ":forged_id",":bare_id",1,bonus,5,0,5,2040-01-01\' (FORMAT csv)',
    DENIED,
    admin=_BALANCED,
)
a(
    "copy the history behind itself",
    "INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at)"
    " SELECT transfer_id, wallet_id, sequence + 1000, transaction_type, amount,"
    " balance_before, balance_after, created_at FROM credit_transactions",
    "wallets_credittransaction_once_per_transfer",
    "wallets_credittransaction_once_per_transfer",
)

a = Group("triggers off for the session", ATTACKS)
_REPLICA = "SET session_replication_role = replica; "
a(
    "raise a balance",
    _REPLICA + "UPDATE credit_wallets SET balance = balance + 1 WHERE id = :rich",
    DENIED,
    admin=found("I03"),
)
a(
    "let go what is held",
    _REPLICA + "UPDATE credit_wallets SET held = 0 WHERE id = :rich",
    DENIED,
    admin=found("I12"),
)
a(
    "book a credit that nobody pays",
    _REPLICA + movement((":rich", "5")),
    DENIED,
    admin=found("I01", "I02"),
)
a(
    "book rows of a transfer that does not exist",
    _REPLICA
    + movement(*_PAY, transfer=":forged2")
    .replace("VALUES (:forged2", "SELECT :forged2")
    .replace("clock_timestamp())\n)\n", "clock_timestamp() WHERE false\n)\n"),
    DENIED,
    admin=found("I02"),
)
a(
    "book rows of wallets that do not exist",
    _REPLICA + "INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at)"
    " VALUES (:forged, :forged, 1, 'bonus', 5, 0, 5, now()),"
    " (:forged, :forged2, 1, 'bonus', -5, 0, -5, now())",
    DENIED,
    admin=found("I02", "I03"),
)
a(
    "give a wallet to another",
    _REPLICA + "UPDATE credit_wallets SET user_id = :homeless_user WHERE id = :rich",
    DENIED,
    admin=SEALS,
)
a(
    "let every session of the database begin so",
    "ALTER DATABASE :database SET session_replication_role = replica",
    DENIED,
    admin=_GUARD,
)

a = Group("names in front of names", ATTACKS)
_EXPLAINED = (
    " VALUES (:forged, :rich, 6, 'bonus', 100, 0, 118);"
    " UPDATE credit_wallets SET balance = balance + 100, sequence = sequence + 1"
    " WHERE id = :rich"
)
a(
    "explain a balance by a temporary table of the same name",
    "CREATE TEMP TABLE credit_transactions (transfer_id uuid, wallet_id uuid,"
    " sequence bigint, transaction_type text, amount numeric, balance_before numeric,"
    " balance_after numeric); INSERT INTO credit_transactions" + _EXPLAINED,
    _FOLLOWS,
)
a(
    "explain a balance by a table in a schema in front",
    "CREATE SCHEMA front; CREATE TABLE front.credit_transactions (transfer_id uuid,"
    " wallet_id uuid, sequence bigint, transaction_type text, amount numeric,"
    " balance_before numeric, balance_after numeric);"
    " SET search_path = front, public; INSERT INTO credit_transactions" + _EXPLAINED,
    _FOLLOWS,
)
a(
    "raise a balance where unequal means equal",
    "CREATE FUNCTION same(numeric, numeric) RETURNS boolean LANGUAGE sql AS"
    " 'SELECT false'; CREATE OPERATOR public.<> (FUNCTION = same, LEFTARG = numeric,"
    " RIGHTARG = numeric); UPDATE credit_wallets SET balance = balance + 1"
    " WHERE id = :rich",
    _FOLLOWS,
)
a(
    "raise a balance where everything sums up to nothing",
    "CREATE FUNCTION public.nothing(numeric, numeric) RETURNS numeric LANGUAGE sql AS"
    " 'SELECT 0.00'; CREATE AGGREGATE public.sum (numeric) (SFUNC = public.nothing,"
    " STYPE = numeric, INITCOND = '0'); " + movement((":rich", "5"), (":poor", "-1")),
    _BALANCED,
)
a(
    "let the site's sessions begin in front of other tables",
    "ALTER ROLE CURRENT_USER IN DATABASE :database SET search_path = front, public",
    _GUARD,
    _GUARD,
)

a = Group("more rights than one has", ATTACKS)
a("become the owner", "SET ROLE :owner; DELETE FROM credit_wallets", _APPEND)
a(
    "become a superuser",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    DENIED,
    admin=HARMLESS,
)
a(
    # The check of the roles' rights names it.
    "grant oneself the right to edit",
    "GRANT ALL ON credit_transactions TO CURRENT_USER",
    HARMLESS,
    HARMLESS,
)
a(
    "own a table of the ledger",
    "ALTER TABLE credit_transactions OWNER TO :app",
    DENIED,
    admin=HARMLESS,
)
a(
    "write a function with its owner's rights",
    "CREATE FUNCTION mine() RETURNS void LANGUAGE sql SECURITY DEFINER"
    " AS 'DELETE FROM credit_holds'",
    HARMLESS,
)
a(
    "write a trigger on the ledger",
    "CREATE TRIGGER mine BEFORE UPDATE ON credit_wallets FOR EACH ROW EXECUTE FUNCTION"
    " suppress_redundant_updates_trigger()",
    _GUARD,
)
a(
    "hear of every change of tables",
    "CREATE FUNCTION hear() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
    " CREATE EVENT TRIGGER hear ON ddl_command_end EXECUTE FUNCTION hear()",
    DENIED,
    admin=HARMLESS,
)
a(
    "use up the numbers of the rows",
    "SELECT setval(pg_get_serial_sequence('credit_transactions', 'id'),"
    " 9223372036854775807)",
    HARMLESS,
)
a(
    "start the numbers of the rows again",
    "ALTER TABLE credit_transactions ALTER id RESTART WITH 1",
    HARMLESS,
)
a(
    "make a seal of one's own",
    "INSERT INTO credit_seals SELECT number + 2, last_id, last_id + 5, 1, 1, 1,"
    " transactions_digest, transfers_digest, wallets_digest, digest, repeat('a', 64),"
    " now() FROM credit_seals ORDER BY number DESC LIMIT 1",
    "ledger_seal_follows",
    "ledger_seal_follows",
)
a(
    "make a seal of one's own that follows the last",
    "INSERT INTO credit_seals SELECT number + 1, last_id, last_id + 5, 1, 1, 1,"
    " transactions_digest, transfers_digest, wallets_digest, digest, repeat('a', 64),"
    " now() FROM credit_seals ORDER BY number DESC LIMIT 1",
    SEALS,
    SEALS,
)
a("edit a seal", "UPDATE credit_seals SET digest = repeat('a', 64)", _APPEND)
