"""Each guard dropped once: the attack that it refuses then succeeds.

So every trigger, constraint and NOT NULL of the ledger is shown to be what refuses
something, and by which statement; and none can be added without such a statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest

from tests.postgres import database_url
from tests.proof.arena import Arena
from tests.proof.attacks import filled, movement
from wallets import guards

_WALLET: Final = (
    "INSERT INTO credit_wallets (id, user_id, code, balance, held, sequence,"
    " frozen_reason, created_at, updated_at) VALUES "
)
_HOLD: Final = (
    "INSERT INTO credit_holds (id, wallet_id, key, amount, reason, created_at) VALUES "
)
_SEAL: Final = (
    "INSERT INTO credit_seals SELECT {}, last_id, last_id + 5, 1, 1, 1,"
    " transactions_digest, transfers_digest, wallets_digest, {}, {}, now()"
    " FROM credit_seals"
)
_PAY: Final = (":poor", "1"), (":rich", "-1")
_FORGED_ROWS: Final = (
    "INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at) VALUES "
)

_TRUNCATE_ELSEWHERE: Final = """
DO $$DECLARE other record; BEGIN
    FOR other IN SELECT tgrelid::regclass AS relation, tgname FROM pg_trigger
        WHERE tgname LIKE '%no_truncate' AND tgrelid <> 'credit_transfers'::regclass
    LOOP EXECUTE format('DROP TRIGGER %I ON %s', other.tgname, other.relation);
    END LOOP;
END$$
"""

# Guard, the attack that it alone refuses, and guards that stand behind it: the attack
# succeeds once they are gone as well.
_ATTACKS: Final[dict[str, tuple[str, ...]]] = {
    # Triggers
    "trigger credit_transfers.ledger_append_only": (
        "UPDATE credit_transfers SET description = 'x'",
    ),
    "trigger credit_transactions.ledger_append_only": (
        "UPDATE credit_transactions SET transaction_type = 'bonus'",
    ),
    "trigger credit_seals.ledger_append_only": ("DELETE FROM credit_seals",),
    "trigger credit_transfers.ledger_no_truncate": (
        "TRUNCATE credit_transfers CASCADE",
        # It takes the tables along that point at it.
        _TRUNCATE_ELSEWHERE,
    ),
    "trigger credit_transactions.ledger_no_truncate": ("TRUNCATE credit_transactions",),
    "trigger credit_wallets.ledger_no_truncate": (
        "TRUNCATE credit_wallets CASCADE",
        "trigger credit_transactions.ledger_no_truncate",
        "trigger credit_holds.ledger_no_truncate",
    ),
    "trigger credit_holds.ledger_no_truncate": ("TRUNCATE credit_holds",),
    "trigger credit_seals.ledger_no_truncate": ("TRUNCATE credit_seals",),
    "trigger credit_wallets.ledger_no_delete": (
        "DELETE FROM credit_wallets WHERE id = :bare",
    ),
    "trigger credit_holds.ledger_no_delete": ("DELETE FROM credit_holds",),
    "trigger credit_wallets.ledger_check_new_wallet": (
        _WALLET + "(:forged, NULL, 'mine', 5, 0, 0, '', now(), now())",
    ),
    "trigger credit_wallets.ledger_check_wallets": (
        "UPDATE credit_wallets SET balance = balance + 1 WHERE id = :rich",
    ),
    "trigger credit_transactions.ledger_check_transactions": (
        movement((":rich", "5")),
    ),
    "trigger credit_transfers.ledger_check_transfers": (
        "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
        " VALUES (:forged, 'forged', '', '{}', now())",
    ),
    "trigger credit_holds.ledger_check_hold": (
        "UPDATE credit_holds SET released_at = NULL WHERE key = 'h:released'",
    ),
    "trigger credit_seals.ledger_check_seal": (
        _SEAL.format("number + 2", "digest", "repeat('a', 64)"),
    ),
    # Checks
    "constraint credit_wallets.wallets_creditwallet_balance_in_range": (
        movement((":opening", "'NaN'"), (":issued", "'NaN'")),
        "constraint credit_transactions.wallets_credittransaction_amount_in_range",
        "constraint credit_transactions.wallets_credittransaction_balance_in_range",
        "trigger credit_transactions.ledger_check_transactions",
    ),
    "constraint credit_wallets.wallets_creditwallet_balance_not_negative": (
        movement((":poor", "-1000"), (":rich", "1000")),
    ),
    "constraint credit_wallets.wallets_creditwallet_held_within_balance": (
        movement((":rich", "-15"), (":poor", "15")),
    ),
    "constraint credit_wallets.wallets_creditwallet_frozen_with_reason": (
        "UPDATE credit_wallets SET frozen_at = now() WHERE id = :rich",
    ),
    "constraint credit_wallets.wallets_creditwallet_user_or_code": (
        _WALLET + "(:forged, NULL, NULL, 0, 0, 0, '', now(), now())",
    ),
    "constraint credit_transactions.wallets_credittransaction_amount_in_range": (
        movement((":rich", "0"), (":poor", "1"), (":opening", "-1")),
    ),
    "constraint credit_transactions.wallets_credittransaction_balance_in_range": (
        movement((":opening", "'NaN'"), (":issued", "'NaN'")),
        "constraint credit_transactions.wallets_credittransaction_amount_in_range",
        "constraint credit_wallets.wallets_creditwallet_balance_in_range",
        "trigger credit_transactions.ledger_check_transactions",
    ),
    "constraint credit_transactions.wallets_credittransaction_balance_adds_up": (
        movement(*_PAY, amount="2 * moved.amount"),
    ),
    "constraint credit_transactions.wallets_credittransaction_type_known": (
        movement(*_PAY, type="'gift'"),
    ),
    "constraint credit_transactions.wallets_credittransaction_sequence_starts_at_one": (
        movement((":bare", "1"), (":opening", "-1"), sequence="moved.sequence - 1"),
        "trigger credit_wallets.ledger_check_wallets",
        "trigger credit_transactions.ledger_check_transactions",
        "constraint credit_transactions.wallets_credittransaction_unique_sequence",
    ),
    "constraint credit_holds.wallets_credithold_amount_in_range": (
        _HOLD + "(:forged, :rich, 'forged', 0, 'x', now())",
    ),
    "constraint credit_seals.wallets_creditseal_covers_something": (
        _SEAL.format("number + 1", "digest", "repeat('a', 64)").replace(
            "last_id + 5", "last_id"
        ),
    ),
    # Numbers that Django takes to be positive
    **{
        f"constraint credit_seals.credit_seals_{column}_check": (
            "INSERT INTO credit_seals SELECT (jsonb_populate_record(seal,"
            " to_jsonb(seal) || jsonb_build_object('number', number + 1,"
            f" 'previous_digest', '', 'last_id', last_id + 1, '{column}', -1))).*"
            " FROM credit_seals AS seal",
            "trigger credit_seals.ledger_check_seal",
            "constraint credit_seals.wallets_creditseal_covers_something",
        )
        for column in (
            "number",
            "after_id",
            "last_id",
            "transactions",
            "transfers",
            "wallets",
        )
    },
    # Uniqueness
    "constraint credit_wallets.credit_wallets_pkey": (
        _WALLET + "(:rich, NULL, 'mine', 0, 0, 0, '', now(), now())",
    ),
    "constraint credit_wallets.credit_wallets_user_id_key": (
        _WALLET + "(:forged, :rich_user, NULL, 0, 0, 0, '', now(), now())",
    ),
    "constraint credit_wallets.credit_wallets_code_key": (
        _WALLET + "(:forged, NULL, 'opening', 0, 0, 0, '', now(), now())",
    ),
    "constraint credit_transfers.credit_transfers_pkey": (
        movement((":bare", "1"), (":opening", "-1"), transfer=":paid"),
        "trigger credit_transactions.ledger_check_transactions",
    ),
    "constraint credit_transfers.wallets_credittransfer_unique_key": (
        movement(*_PAY, key="'paid'"),
    ),
    "index credit_transfers.wallets_credittransfer_reversed_once": (
        movement((":rich", "1"), (":poor", "-1"), reverses=":reversed"),
    ),
    "constraint credit_transactions.credit_transactions_pkey": (
        _FORGED_ROWS.replace("(transfer_id", "(id, transfer_id").replace(
            "VALUES", "OVERRIDING SYSTEM VALUE"
        )
        + "SELECT min(id), :paid, :bare, 1, 'bonus', 1, 0, 1, now()"
        " FROM credit_transactions",
        "trigger credit_transactions.ledger_check_transactions",
    ),
    "constraint credit_transactions.wallets_credittransaction_unique_sequence": (
        movement(*_PAY, sequence="moved.sequence - 1"),
        "trigger credit_wallets.ledger_check_wallets",
        "trigger credit_transactions.ledger_check_transactions",
    ),
    "constraint credit_transactions.wallets_credittransaction_once_per_transfer": (
        "WITH moved AS (UPDATE credit_wallets SET sequence = sequence + 2, updated_at ="
        " clock_timestamp() WHERE id = :rich RETURNING *), opened AS ("
        " INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
        " VALUES (:forged, 'forged', '', '{}', clock_timestamp()))"
        " INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
        " transaction_type, amount, balance_before, balance_after, created_at)"
        " SELECT :forged, id, sequence - 1, 'bonus', 1, balance, balance + 1,"
        " updated_at FROM moved UNION ALL SELECT :forged, id, sequence, 'bonus', -1,"
        " balance + 1, balance, updated_at FROM moved",
    ),
    "constraint credit_holds.credit_holds_pkey": (
        _HOLD.replace("VALUES", "")
        + "SELECT id, wallet_id, 'other', 1, 'x', now() FROM credit_holds"
        " WHERE key = 'h:open'",
    ),
    "constraint credit_holds.wallets_credithold_unique_key": (
        _HOLD + "(:forged, :rich, 'h:open', 1, 'x', now())",
    ),
    "constraint credit_seals.credit_seals_pkey": (
        _SEAL.format("number", "repeat('b', 64)", "repeat('a', 64)"),
        "trigger credit_seals.ledger_check_seal",
    ),
    "constraint credit_seals.wallets_creditseal_no_fork": (
        _SEAL.format("number + 1", "previous_digest", "repeat('a', 64)"),
        "trigger credit_seals.ledger_check_seal",
    ),
    # Foreign keys
    "constraint credit_wallets.credit_wallets_user_id_f1892d5b_fk_auth_user_id": (
        _WALLET + "(:forged, 999999, NULL, 0, 0, 0, '', now(), now())",
    ),
    "constraint credit_transfers.credit_transfers_actor_id_88a1edb0_fk_auth_user_id": (
        movement(*_PAY)
        .replace("description,", "description, actor_id,")
        .replace("'', NULL", "'', 999999, NULL"),
    ),
    "constraint credit_transfers."
    "credit_transfers_reverses_id_dd5af8ae_fk_credit_transfers_id": (
        movement(*_PAY, reverses=":forged2"),
    ),
    "constraint credit_transactions."
    "credit_transactions_transfer_id_aae32448_fk_credit_transfers_id": (
        movement(*_PAY, key="'paid'").replace(
            "clock_timestamp())\n)\n",
            "clock_timestamp()) ON CONFLICT (key) DO NOTHING\n)\n",
        ),
    ),
    "constraint credit_transactions."
    "credit_transactions_wallet_id_10358824_fk_credit_wallets_id": (
        "WITH opened AS (INSERT INTO credit_transfers (id, key, description, metadata,"
        " created_at) VALUES (:forged, 'forged', '', '{}', now())) "
        + _FORGED_ROWS
        + "(:forged, :forged, 1, 'bonus', 5, 0, 5, now()),"
        " (:forged, :forged2, 1, 'bonus', -5, 0, -5, now())",
        "trigger credit_transactions.ledger_check_transactions",
    ),
    "constraint credit_holds.credit_holds_wallet_id_801f60ff_fk_credit_wallets_id": (
        _HOLD + "(:forged, :forged, 'forged', 1, 'x', now())",
    ),
}

# These do something themselves; that they are gone shows in the books.
_BOOKKEEPERS: Final = {
    "trigger credit_holds.ledger_apply_new_holds": (
        _HOLD + "(:forged, :rich, 'forged', 1, 'x', now())"
    ),
    "trigger credit_holds.ledger_apply_released_holds": (
        "UPDATE credit_holds SET released_at = now() WHERE key = 'h:open'"
    ),
}


def _expected(kind: str) -> list[str]:
    names: list[str] = json.loads(guards.LEDGER.expected.read_text())
    return [name for name in names if name.startswith(f"{kind} ")]


@pytest.fixture(scope="module")
def arena(
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Arena]:
    with django_db_blocker.unblock():
        arena = Arena(tmp_path_factory.mktemp("seals") / "ledger.seals")
        yield arena
        arena.close()


@pytest.fixture
def books(arena: Arena) -> Iterator[psycopg.Connection]:
    """The books, as a superuser; whatever is done is rolled back."""
    with psycopg.connect(database_url(arena.template)) as connection:
        yield connection
        connection.rollback()


def drop(books: psycopg.Connection, guard: str) -> None:
    """Take a trigger or a constraint away, with what hangs on it."""
    if guard == _TRUNCATE_ELSEWHERE:
        books.execute(guard)
        return
    kind, _, name = guard.partition(" ")
    table, _, name = name.partition(".")
    if kind == "trigger":
        books.execute(f'DROP TRIGGER "{name}" ON {table}')
    elif kind == "index":
        books.execute(f'DROP INDEX "{name}"')
    else:
        books.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}" CASCADE')


def attack(books: psycopg.Connection, statement: str, arena: Arena) -> None:
    """Run it up to where it would commit."""
    books.execute(filled(statement, arena.names).encode())
    books.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_there_is_an_attack_for_every_guard():
    named = {*_ATTACKS, *_BOOKKEEPERS}

    assert named == {
        guard
        for kind in ("trigger", "constraint", "index")
        for guard in _expected(kind)
    }


@pytest.mark.parametrize("guard", _ATTACKS)
def test_without_the_guard_its_attack_succeeds(
    guard: str, books: psycopg.Connection, arena: Arena
):
    statement, *behind = _ATTACKS[guard]
    for other in behind:
        drop(books, other)

    with pytest.raises(psycopg.Error), books.transaction():
        attack(books, statement, arena)
    drop(books, guard)

    attack(books, statement, arena)


@pytest.mark.parametrize("guard", _BOOKKEEPERS)
def test_without_the_bookkeeper_held_no_longer_follows(
    guard: str, books: psycopg.Connection, arena: Arena
):
    held = "SELECT held FROM credit_wallets WHERE id = :rich"
    before = books.execute(filled(held, arena.names).encode()).fetchone()
    with books.transaction() as attempt:
        attack(books, _BOOKKEEPERS[guard], arena)
        assert books.execute(filled(held, arena.names).encode()).fetchone() != before
        raise psycopg.Rollback(attempt)
    drop(books, guard)

    attack(books, _BOOKKEEPERS[guard], arena)

    assert books.execute(filled(held, arena.names).encode()).fetchone() == before


@pytest.mark.parametrize("column", _expected("column"))
def test_no_column_of_the_ledger_takes_null_that_should_not(
    column: str, books: psycopg.Connection
):
    table, _, name = column.removeprefix("column ").partition(".")
    may_be_unknown = {
        "user_id", "code", "frozen_at", "actor_id", "reverses_id", "releases_at",
        "released_at",
    }  # fmt: skip

    found = books.execute(
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = %s::regclass"
        " AND attname = %s",
        [table, name],
    ).fetchone()

    assert found == (name not in may_be_unknown,)
