"""Hostile SQL: what a bug, a stolen password or an insider could try on the ledger.

Each line says what it tries, the SQL, and what comes of it for the owner of the tables,
then for the app's role where that is not simply denied, then for a superuser where that
is not what comes of it for the owner. `test_hostile_sql` runs each as all three.
"""

from __future__ import annotations

from typing import Final

from tests.proof.attacks import (
    DENIED,
    HARMLESS,
    LAWFUL,
    LOUD,
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
_CHAIN = "ledger_chain"
_IDENTITY = "ledger_wallet_identity"
_ONCE = "ledger_hold_once"
_NOT_NEGATIVE = "wallets_creditwallet_balance_not_negative"
_WITHIN = "wallets_creditwallet_held_within_balance"
_GUARD = found("guard")

# Foreign keys that are still to be checked would keep tables from being altered.
_OFF = "SET CONSTRAINTS ALL IMMEDIATE; "
_PAY = (":poor", "1"), (":rich", "-1")


# Credits out of nothing

a = Group("conjuring credits", ATTACKS)
a(
    "raise a balance",
    "UPDATE credit_wallets SET balance = balance + 100 WHERE id = :rich",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "raise a balance as if there had been a transaction",
    "UPDATE credit_wallets SET balance = balance + 100, sequence = sequence + 1"
    " WHERE id = :rich",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "go back to a day when there was more",
    "UPDATE credit_wallets SET balance = 20, sequence = 1 WHERE id = :rich",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "raise one balance and lower another by as much",
    "UPDATE credit_wallets SET balance = balance + CASE id WHEN :rich THEN 1 ELSE -1"
    " END WHERE id IN (:rich, :poor)",
    _FOLLOWS,
    _FOLLOWS,
)
a("book a credit that nobody pays", movement((":rich", "100")), _BALANCED, _BALANCED)
a(
    "book a transfer that takes less than it gives",
    movement((":rich", "100"), (":poor", "-1")),
    _BALANCED,
    _BALANCED,
)
a(
    "book a transfer of three that is a cent off",
    movement((":rich", "5"), (":poor", "-1"), (":opening", "-3.99")),
    _BALANCED,
    _BALANCED,
)
a(
    "open a transfer without rows, to fill it another time",
    "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
    " VALUES (:forged, 'forged', '', '{}', now())",
    _BALANCED,
    _BALANCED,
)
a(
    "add rows to a transfer that is complete",
    "WITH moved AS (UPDATE credit_wallets SET balance = balance + 1, sequence ="
    " sequence + 1, updated_at = clock_timestamp() WHERE id IN (:bare, :opening)"
    " RETURNING *) INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at)"
    " SELECT :paid, id, sequence, 'bonus', 1, balance - 1, balance, updated_at"
    " FROM moved",
    _BALANCED,
    _BALANCED,
)
a(
    "add a balanced pair of rows to a transfer that is complete",
    "WITH moved AS (UPDATE credit_wallets SET balance = balance + CASE id WHEN :bare"
    " THEN 1 ELSE -1 END, sequence = sequence + 1, updated_at = clock_timestamp()"
    " WHERE id IN (:bare, :opening) RETURNING *)"
    " INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at)"
    " SELECT :paid, id, sequence, 'bonus', CASE id WHEN :bare THEN 1 ELSE -1 END,"
    " balance - CASE id WHEN :bare THEN 1 ELSE -1 END, balance, updated_at FROM moved",
    _BALANCED,
    _BALANCED,
)
a(
    "book the two sides in two statements, to keep one of them",
    "WITH moved AS (UPDATE credit_wallets SET balance = balance + 5, sequence ="
    " sequence + 1, updated_at = clock_timestamp() WHERE id = :rich RETURNING *)"
    " INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at)"
    " SELECT :forged, id, sequence, 'bonus', 5, balance - 5, balance, updated_at"
    " FROM moved",
    _BALANCED,
    _BALANCED,
)
a(
    "book rows of a transfer that does not exist",
    movement(*_PAY)
    .replace("), opened AS (", "), opened AS (SELECT), unused AS (")
    .replace("INSERT INTO credit_transfers", "SELECT 1 --")
    .replace("(id, key, description, reverses_id, metadata, created_at)", "")
    .replace("VALUES (:forged, 'forged', '', NULL, '{}', clock_timestamp())", ""),
    "credit_transactions_transfer_id_aae32448_fk_credit_transfers_id",
    "credit_transactions_transfer_id_aae32448_fk_credit_transfers_id",
)
a(
    "open a wallet that begins with credits",
    "INSERT INTO credit_wallets (id, code, balance, held, sequence, frozen_reason,"
    " created_at, updated_at) VALUES (:forged, 'mine', 5, 0, 0, '', now(), now())",
    "ledger_new_wallet_empty",
    "ledger_new_wallet_empty",
)
a(
    "open a wallet that has credits held from the start",
    "INSERT INTO credit_wallets (id, code, balance, held, sequence, frozen_reason,"
    " created_at, updated_at) VALUES (:forged, 'mine', 0, 5, 0, '', now(), now())",
    "ledger_new_wallet_empty",
    "ledger_new_wallet_empty",
)
a(
    "open a wallet that begins with a history",
    "INSERT INTO credit_wallets (id, code, balance, held, sequence, frozen_reason,"
    " created_at, updated_at) VALUES (:forged, 'mine', 0, 0, 7, '', now(), now())",
    "ledger_new_wallet_empty",
    "ledger_new_wallet_empty",
)
a(
    "pay more than there is",
    movement((":poor", "-1000"), (":rich", "1000")),
    _NOT_NEGATIVE,
    _NOT_NEGATIVE,
)
a(
    "let a system wallet owe that may not",
    movement((":revenue", "-1000"), (":rich", "1000")),
    _NOT_NEGATIVE,
    _NOT_NEGATIVE,
)
for code in ("'issued:'", "'issued:0x'", "'Issued'", r"E'issued:0\n'", "'xissued'"):
    a(
        f"open a wallet called {code} that passes for one that may owe",
        "INSERT INTO credit_wallets (id, code, balance, held, sequence, frozen_reason,"
        f" created_at, updated_at) VALUES (:forged, {code}, 0, 0, 0, '', now(), now());"
        + movement((":forged", "-5"), (":rich", "5")),
        _NOT_NEGATIVE,
        _NOT_NEGATIVE,
    )
a(
    # The ledger's books are right: what came out of `issued` is for the reconciliation
    # with the gateway, which knows of no such payment.
    "draw on a wallet that may owe, as a purchase does",
    movement((":opening", "-5"), (":rich", "5")),
    LAWFUL,
    LAWFUL,
)
a(
    "pay a wallet twice in one transfer",
    "UPDATE credit_wallets SET sequence = sequence WHERE false;"
    " WITH moved AS (UPDATE credit_wallets SET balance = balance, sequence = sequence"
    " + 2, updated_at = clock_timestamp() WHERE id = :rich RETURNING *), opened AS ("
    " INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
    " VALUES (:forged, 'forged', '', '{}', clock_timestamp()))"
    " INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at)"
    " SELECT :forged, id, sequence - 1, 'bonus', 1, balance, balance + 1, updated_at"
    " FROM moved UNION ALL SELECT :forged, id, sequence, 'bonus', -1, balance + 1,"
    " balance, updated_at FROM moved",
    "wallets_credittransaction_once_per_transfer",
    "wallets_credittransaction_once_per_transfer",
)
a(
    "save half a cent at each rounding",
    movement((":rich", "0.005"), (":poor", "-0.005")),
    "wallets_credittransaction_balance_adds_up",
    "wallets_credittransaction_balance_adds_up",
)
a(
    "book rows that leave the balances alone",
    movement(*_PAY, balance="wallet.balance", before="moved.balance",
             after="moved.balance + moved.amount"),
    _FOLLOWS,
    _FOLLOWS,
)  # fmt: skip

# The chain

a = Group("re-chaining", ATTACKS)
a("leave a number out", movement(*_PAY, step="2"), _CHAIN, _CHAIN)
a(
    "use a number twice",
    movement(*_PAY, sequence="moved.sequence - 1"),
    "wallets_credittransaction_unique_sequence",
    "wallets_credittransaction_unique_sequence",
)
a(
    "start with the number 0",
    movement((":bare", "1"), (":rich", "-1"), sequence="moved.sequence - 1"),
    "wallets_credittransaction_sequence_starts_at_one",
    "wallets_credittransaction_sequence_starts_at_one",
)
a(
    "start from a balance that was not there",
    movement(*_PAY, balance="wallet.balance + leg.amount + 100"),
    _CHAIN,
    _CHAIN,
)
a(
    "begin a new wallet's history with credits",
    movement((":bare", "1"), (":opening", "-1"), balance="leg.amount + 7"),
    _CHAIN,
    _CHAIN,
)
a(
    "add up wrongly in a row",
    movement(*_PAY, before="moved.balance"),
    "wallets_credittransaction_balance_adds_up",
    "wallets_credittransaction_balance_adds_up",
)
a(
    "book into the past",
    movement(*_PAY, at="moved.updated_at - interval '1 day'"),
    _CHAIN,
    _CHAIN,
)
a(
    "call the movement what nothing is called",
    movement(*_PAY, type="'gift'"),
    "wallets_credittransaction_type_known",
    "wallets_credittransaction_type_known",
)
a(
    "book a row of nothing between others",
    movement((":rich", "0"), (":poor", "1"), (":opening", "-1")),
    "wallets_credittransaction_amount_in_range",
    "wallets_credittransaction_amount_in_range",
)
a(
    "double the whole history and every balance",
    _OFF + "ALTER TABLE credit_transactions DISABLE TRIGGER USER;"
    " ALTER TABLE credit_wallets DISABLE TRIGGER USER;"
    " ALTER TABLE credit_holds DISABLE TRIGGER USER;"
    " UPDATE credit_transactions SET amount = 2 * amount, balance_before = 2 *"
    " balance_before, balance_after = 2 * balance_after;"
    " UPDATE credit_wallets SET balance = 2 * balance;"
    " :guards_back",
    SEALS,
)
a(
    "double the history by a change of type, which no trigger sees",
    "SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE credit_transactions"
    " ALTER amount TYPE numeric(14,2) USING 2 * amount,"
    " ALTER balance_before TYPE numeric(14,2) USING 2 * balance_before,"
    " ALTER balance_after TYPE numeric(14,2) USING 2 * balance_after;"
    " ALTER TABLE credit_wallets ALTER balance TYPE numeric(14,2) USING 2 * balance",
    SEALS,
)
a(
    "take the last transfer out and both balances back",
    _OFF + "ALTER TABLE credit_transactions DISABLE TRIGGER USER;"
    " ALTER TABLE credit_transfers DISABLE TRIGGER USER;"
    " ALTER TABLE credit_wallets DISABLE TRIGGER USER;"
    " UPDATE credit_wallets AS wallet SET balance = balance_before,"
    " sequence = wallet.sequence - 1 FROM credit_transactions AS booked"
    " WHERE booked.wallet_id = wallet.id AND transfer_id = :last;"
    " DELETE FROM credit_transactions WHERE transfer_id = :last;"
    " DELETE FROM credit_transfers WHERE id = :last; :guards_back",
    SEALS,
)
a(
    "take every row of one wallet out, and its balance",
    _OFF + "ALTER TABLE credit_transactions DISABLE TRIGGER USER;"
    " ALTER TABLE credit_wallets DISABLE TRIGGER USER;"
    " DELETE FROM credit_transactions WHERE wallet_id = :poor;"
    " UPDATE credit_wallets SET balance = 0, sequence = 0 WHERE id = :poor;"
    " :guards_back",
    found("I01", "I02"),
)
a(
    "change what a transfer was for",
    _OFF + "ALTER TABLE credit_transfers DISABLE TRIGGER USER;"
    " UPDATE credit_transfers SET description = 'a gift' WHERE id = :paid;"
    " :guards_back",
    SEALS,
)
a(
    "let a payment be a purchase, to be refunded in money",
    _OFF + "ALTER TABLE credit_transactions DISABLE TRIGGER USER;"
    " UPDATE credit_transactions SET transaction_type = 'purchase'"
    " WHERE transfer_id = :paid; :guards_back",
    SEALS,
)
a(
    "put a transfer into the middle of history",
    _OFF + "ALTER TABLE credit_transactions DISABLE TRIGGER USER;"
    " ALTER TABLE credit_wallets DISABLE TRIGGER USER;"
    " ALTER TABLE credit_transactions DROP CONSTRAINT"
    " wallets_credittransaction_unique_sequence; "
    + movement(*_PAY, sequence="1")
    + "; SET CONSTRAINTS ALL IMMEDIATE; :guards_back",
    found("I04", "guard"),
)

# History

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

# Numbers

a = Group("numbers that are none", ATTACKS)
for number, refusal in (
    ("'NaN'", "wallets_creditwallet_balance_in_range"),
    ("'Infinity'", "NumericValueOutOfRange"),
    ("'-Infinity'", "NumericValueOutOfRange"),
    ("1e12", "NumericValueOutOfRange"),
):
    a(
        f"make a balance {number}",
        f"UPDATE credit_wallets SET balance = {number} WHERE id = :opening",
        refusal,
        refusal,
    )
    a(
        f"book a movement of {number}",
        movement((":opening", number), (":issued", number)),
        refusal,
        refusal,
    )
for number in ("'NaN'", "-1", "0"):
    a(
        f"hold {number}",
        "INSERT INTO credit_holds (id, wallet_id, key, amount, reason, created_at)"
        f" VALUES (:forged, :rich, 'forged', {number}, 'x', now())",
        _WITHIN if number == "NaN" else "wallets_credithold_amount_in_range",
        "wallets_credithold_amount_in_range",
    )
a(
    "hold NaN of a wallet by its column",
    "UPDATE credit_wallets SET held = 'NaN' WHERE id = :rich",
    _WITHIN,
    _WITHIN,
)
a(
    "pass the largest balance that is kept",
    movement((":rich", "999999999999.99"), (":opening", "-999999999999.99")),
    "NumericValueOutOfRange",
    "NumericValueOutOfRange",
)
a(
    "let a wallet's numbers run over",
    "UPDATE credit_wallets SET sequence = 9223372036854775807 WHERE id = :rich",
    _FOLLOWS,
    _FOLLOWS,
)
a(
    "book an amount that is unknown",
    movement(*_PAY, amount="NULL"),
    "NotNullViolation",
    "NotNullViolation",
)
a(
    "make a balance unknown, which checks let through",
    "UPDATE credit_wallets SET balance = NULL WHERE id = :rich",
    "NotNullViolation",
    "NotNullViolation",
)

# Whose it is

a = Group("moving wallets between holders", ATTACKS)
a(
    "give a full wallet to somebody who has none",
    "UPDATE credit_wallets SET user_id = :homeless_user WHERE id = :rich",
    _IDENTITY,
)
a(
    "let two users change wallets",
    "SET CONSTRAINTS ALL DEFERRED; UPDATE credit_wallets SET user_id = NULL,"
    " code = 'x' WHERE id = :poor",
    _IDENTITY,
)
a(
    "make a user's wallet one that may owe",
    "UPDATE credit_wallets SET user_id = NULL, code = 'issued:77' WHERE id = :rich",
    _IDENTITY,
)
a(
    "make a system wallet one's own",
    "UPDATE credit_wallets SET user_id = :homeless_user, code = NULL"
    " WHERE id = :revenue",
    _IDENTITY,
)
a(
    "rename a system wallet",
    "UPDATE credit_wallets SET code = 'opening:2' WHERE id = :opening",
    _IDENTITY,
)
a(
    "give a wallet another id",
    "UPDATE credit_wallets SET id = :forged WHERE id = :rich",
    _IDENTITY,
)
a(
    "make a wallet older",
    "UPDATE credit_wallets SET created_at = created_at - interval '1 year'",
    _IDENTITY,
)
a(
    "open a second wallet of a user",
    "INSERT INTO credit_wallets (id, user_id, balance, held, sequence, frozen_reason,"
    " created_at, updated_at) VALUES (:forged, :rich_user, 0, 0, 0, '', now(), now())",
    "credit_wallets_user_id_key",
    "credit_wallets_user_id_key",
)
a(
    "open a wallet of nobody",
    "INSERT INTO credit_wallets (id, balance, held, sequence, frozen_reason,"
    " created_at, updated_at) VALUES (:forged, 0, 0, 0, '', now(), now())",
    "wallets_creditwallet_user_or_code",
    "wallets_creditwallet_user_or_code",
)
a(
    "open a wallet of a user that may owe",
    "INSERT INTO credit_wallets (id, user_id, code, balance, held, sequence,"
    " frozen_reason, created_at, updated_at)"
    " VALUES (:forged, :homeless_user, 'issued:7', 0, 0, 0, '', now(), now())",
    "wallets_creditwallet_user_or_code",
    "wallets_creditwallet_user_or_code",
)
a(
    "open a wallet of a user who does not exist",
    "INSERT INTO credit_wallets (id, user_id, balance, held, sequence, frozen_reason,"
    " created_at, updated_at) VALUES (:forged, 999999, 0, 0, 0, '', now(), now())",
    "credit_wallets_user_id_f1892d5b_fk_auth_user_id",
    "credit_wallets_user_id_f1892d5b_fk_auth_user_id",
)
a(
    "swap the wallets of two users with the guard off",
    _OFF + "ALTER TABLE credit_wallets DISABLE TRIGGER USER;"
    " UPDATE credit_wallets SET user_id = NULL, code = 'x' WHERE id = :poor;"
    " UPDATE credit_wallets SET user_id = :poor_user WHERE id = :rich;"
    " UPDATE credit_wallets SET user_id = :rich_user, code = NULL WHERE id = :poor;"
    " :guards_back",
    SEALS,
)

# Holds

a = Group("holds", ATTACKS)
a(
    "let go what is held by the wallet's column",
    "UPDATE credit_wallets SET held = 0 WHERE id = :rich",
    "ledger_held_follows",
    "ledger_held_follows",
)
a(
    "let go what is held by a trigger of one's own",
    "CREATE TABLE lever (x int); CREATE FUNCTION pull() RETURNS trigger LANGUAGE"
    " plpgsql AS $$BEGIN UPDATE credit_wallets SET held = 0; RETURN NULL; END$$;"
    " CREATE TRIGGER pull AFTER INSERT ON lever FOR EACH ROW EXECUTE FUNCTION pull();"
    " INSERT INTO lever VALUES (1)",
    found("I12"),
)
a(
    "let go what is held by a trigger on a temporary table",
    "CREATE TEMP TABLE lever (x int); CREATE FUNCTION pg_temp.pull() RETURNS trigger"
    " LANGUAGE plpgsql AS $$BEGIN UPDATE credit_wallets SET held = 0; RETURN NULL;"
    " END$$; CREATE TRIGGER pull AFTER INSERT ON lever FOR EACH ROW"
    " EXECUTE FUNCTION pg_temp.pull(); INSERT INTO lever VALUES (1)",
    found("I12"),
)
a(
    "spend what is held",
    movement((":rich", "-15"), (":poor", "15")),
    _WITHIN,
    _WITHIN,
)
a(
    "hold more than is available",
    "INSERT INTO credit_holds (id, wallet_id, key, amount, reason, created_at)"
    " VALUES (:forged, :rich, 'forged', 16, 'x', now())",
    _WITHIN,
    _WITHIN,
)
a(
    "hold credits of a wallet that owes",
    "INSERT INTO credit_holds (id, wallet_id, key, amount, reason, created_at)"
    " VALUES (:forged, :opening, 'forged', 1, 'x', now())",
    _WITHIN,
    _WITHIN,
)
a(
    "place a hold twice",
    "INSERT INTO credit_holds (id, wallet_id, key, amount, reason, created_at)"
    " VALUES (:forged, :rich, 'h:open', 3, 'x', now())",
    "wallets_credithold_unique_key",
    "wallets_credithold_unique_key",
)
a(
    "release a hold twice",
    "UPDATE credit_holds SET released_at = now() WHERE key = 'h:released'",
    _ONCE,
    _ONCE,
)
a(
    "open a hold again",
    "UPDATE credit_holds SET released_at = NULL WHERE key = 'h:released'",
    _ONCE,
    _ONCE,
)
a(
    "open a hold again by ON CONFLICT",
    "INSERT INTO credit_holds SELECT * FROM credit_holds WHERE key = 'h:released'"
    " ON CONFLICT (key) DO UPDATE SET released_at = NULL",
    _ONCE,
    _ONCE,
)
a("hold less", "UPDATE credit_holds SET amount = 1 WHERE key = 'h:open'", _ONCE)
a("rename a hold", "UPDATE credit_holds SET key = 'x' WHERE key = 'h:open'", _ONCE)
a(
    "move a hold to another wallet",
    "UPDATE credit_holds SET wallet_id = :poor WHERE key = 'h:open'",
    _ONCE,
)
a(
    "release a hold and open it again in one statement",
    "WITH done AS (UPDATE credit_holds SET released_at = now() WHERE key = 'h:open'"
    " RETURNING *) INSERT INTO credit_holds (id, wallet_id, key, amount, reason,"
    " created_at) SELECT :forged, wallet_id, 'again', amount, 'x', now() FROM done",
    LAWFUL,
    LAWFUL,
)
a(
    "place a hold that is released already",
    "INSERT INTO credit_holds (id, wallet_id, key, amount, reason, created_at,"
    " released_at) VALUES (:forged, :rich, 'forged', 5, 'x', now(), now())",
    LAWFUL,
    LAWFUL,
)

a = Group("freezing", ATTACKS)
a(
    "pay out of a frozen wallet",
    movement((":frozen", "-1"), (":rich", "1")),
    "ledger_frozen_pays_nothing",
    "ledger_frozen_pays_nothing",
)
a(
    "pay out of a frozen wallet as one of many",
    movement((":rich", "-1"), (":frozen", "-1"), (":poor", "2")),
    "ledger_frozen_pays_nothing",
    "ledger_frozen_pays_nothing",
)
a(
    "pay while freezing",
    movement(*_PAY, set=", frozen_at = now(), frozen_reason = 'x'"),
    "ledger_frozen_pays_nothing",
    "ledger_frozen_pays_nothing",
)
a(
    "freeze without a reason",
    "UPDATE credit_wallets SET frozen_at = now() WHERE id = :rich",
    "wallets_creditwallet_frozen_with_reason",
    "wallets_creditwallet_frozen_with_reason",
)
a(
    "take the reason away",
    "UPDATE credit_wallets SET frozen_reason = '' WHERE id = :frozen",
    "wallets_creditwallet_frozen_with_reason",
    "wallets_creditwallet_frozen_with_reason",
)
a(
    # The site may unfreeze, so its role may; that nobody of the staff did is for the
    # log of what staff did.
    "unfreeze and pay",
    "UPDATE credit_wallets SET frozen_at = NULL WHERE id = :frozen;"
    + movement((":frozen", "-1"), (":rich", "1")),
    LAWFUL,
    LAWFUL,
)

a = Group("keys", ATTACKS)
a(
    "use a key again",
    movement(*_PAY, key="'paid'"),
    "wallets_credittransfer_unique_key",
    "wallets_credittransfer_unique_key",
)
a(
    "use an id again",
    movement((":bare", "1"), (":opening", "-1"), transfer=":paid"),
    "credit_transfers_pkey",
    "credit_transfers_pkey",
)
a("book without a key", movement(*_PAY, key="NULL"), "NotNullViolation",
  "NotNullViolation")  # fmt: skip
a(
    "use a key longer than a key may be",
    movement(*_PAY, key="repeat('k', 256)"),
    "StringDataRightTruncation",
    "StringDataRightTruncation",
)
a(
    "use a key again and look away",
    movement(*_PAY, key="'paid'").replace(
        "clock_timestamp())\n)\n",
        "clock_timestamp()) ON CONFLICT (key) DO NOTHING\n)\n",
    ),
    "credit_transactions_transfer_id_aae32448_fk_credit_transfers_id",
    "credit_transactions_transfer_id_aae32448_fk_credit_transfers_id",
)
a(
    "reverse a transfer twice",
    movement((":rich", "1"), (":poor", "-1"), reverses=":reversed"),
    "wallets_credittransfer_reversed_once",
    "wallets_credittransfer_reversed_once",
)
a(
    "reverse what does not exist",
    movement(*_PAY, reverses=":forged2"),
    "credit_transfers_reverses_id_dd5af8ae_fk_credit_transfers_id",
    "credit_transfers_reverses_id_dd5af8ae_fk_credit_transfers_id",
)
a(
    "get back more than was paid",
    movement((":rich", "3"), (":poor", "-3"), reverses=":paid"),
    found("I15"),
    found("I15"),
)
a(
    "get back what another paid",
    movement((":rich", "2"), (":opening", "-2"), reverses=":paid"),
    found("I15"),
    found("I15"),
)
a(
    "get something on top of what is given back",
    movement((":rich", "2"), (":poor", "-2"), (":bare", "5"), (":opening", "-5"),
             reverses=":paid"),
    found("I15"),
    found("I15"),
)  # fmt: skip
a(
    "reverse a transfer by itself",
    movement(*_PAY, reverses=":forged"),
    found("I15"),
    found("I15"),
)

# Transactions

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

# What the owner can do to the tables

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
    " balance_after, created_at) SELECT 9000, :paid, id, sequence + 1, 'bonus', 5, balance,"
    " balance + 5, now() FROM credit_wallets WHERE id = :rich;"
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
