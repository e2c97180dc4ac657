"""Numbers, holders, holds, frozen wallets, keys."""

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

_FOLLOWS = "ledger_wallet_follows"
_IDENTITY = "ledger_wallet_identity"
_ONCE = "ledger_hold_once"
_WITHIN = "wallets_creditwallet_held_within_balance"
# Foreign keys that are still to be checked would keep tables from being altered.
_OFF = "SET CONSTRAINTS ALL IMMEDIATE; "
_PAY = (":poor", "1"), (":rich", "-1")

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
