"""Credits out of nothing, and the chain of a wallet's rows."""

from __future__ import annotations

from typing import Final

from tests.proof.attacks import (
    LAWFUL,
    SEALS,
    Attack,
    Group,
    found,
    movement,
)

ATTACKS: Final[list[Attack]] = []

_BALANCED = "ledger_transfer_balanced"
_FOLLOWS = "ledger_wallet_follows"
_CHAIN = "ledger_chain"
_NOT_NEGATIVE = "wallets_creditwallet_balance_not_negative"
# Foreign keys that are still to be checked would keep tables from being altered.
_OFF = "SET CONSTRAINTS ALL IMMEDIATE; "
_PAY = (":poor", "1"), (":rich", "-1")

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
