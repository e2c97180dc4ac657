"""History is changed by a superuser, guards off: the seals name what was done.

Where sums and chains would see it too, the seals are not needed; so most of these
changes keep the books in balance, and say so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import make_user, wallet_of
from tests.wallets.sealed import (
    KEY,
    OTHER_KEY,
    found,
    guards_off,
    insert_transfer,
    invariants_broken,
    remove_last_transfers,
    renumber,
    run,
    story,
)
from wallets import seals
from wallets.models import CreditSeal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]


@pytest.fixture(autouse=True)
def sealed(settings: Any, tmp_path: Path) -> str:
    settings.LEDGER_SEAL_KEY = KEY
    settings.LEDGER_SEAL_FILE = str(tmp_path / "seals.jsonl")
    return settings.LEDGER_SEAL_FILE


def only(seal: int, what: str) -> None:
    """One break is found: of this seal, with its range and time, and this."""
    row = CreditSeal.objects.get(number=seal)
    [line] = found()
    assert line.startswith(
        f"seal {seal}: transactions {row.after_id + 1} to {row.last_id}, sealed"
        f" {row.sealed_at.isoformat(timespec='microseconds')}: "
    )
    assert line.endswith(what)


def test_untouched_history_fits_its_seals():
    story()

    assert found() == []


def test_an_edited_transfer_is_found_by_its_seal_alone():
    story()

    with guards_off():
        run("UPDATE credit_transfers SET actor_id = (SELECT max(id) FROM auth_user)")
        assert invariants_broken() == set()
        assert [line.split(": ")[-1] for line in found()] == [
            "transfers were changed, 4 as before",
            "transfers were changed, 3 as before",
        ]


@pytest.mark.parametrize(
    "change",
    [
        "transaction_type = 'bonus'",
        "created_at = created_at + interval '1 microsecond'",
    ],
)
def test_an_edited_transaction_is_found_by_its_seal_alone(change: str):
    story()

    with guards_off():
        run(
            f"UPDATE credit_transactions SET {change}"
            " WHERE id = (SELECT max(id) FROM credit_transactions)"
        )
        assert invariants_broken() == set()
        only(2, "transactions were changed, 6 as before")


def test_amounts_edited_all_along_are_found_by_their_seal_alone():
    story()

    with guards_off():
        # Ten times as much of everything, everywhere.
        run(
            "UPDATE credit_transactions SET amount = amount * 10,"
            " balance_before = balance_before * 10, balance_after = balance_after * 10"
        )
        run("UPDATE credit_wallets SET balance = balance * 10")
        assert invariants_broken() == set()
        assert len(found()) == 2


def test_a_removed_transfer_is_found_by_its_seal_alone():
    story()

    with guards_off():
        remove_last_transfers(1)
        assert invariants_broken() == set()
        lost = [line.split(": ")[-1] for line in found()]
        assert lost == [
            "transactions were removed, 4 left of 6",
            "transfers were removed, 2 left of 3",
        ]


def test_one_row_removed_is_found_by_its_seal_too():
    story()

    with guards_off():
        run(
            "DELETE FROM credit_transactions"
            " WHERE id = (SELECT max(id) FROM credit_transactions)"
        )
        assert "transactions were removed, 5 left of 6" in " ".join(found())


def test_a_wallet_whose_rows_are_gone_with_their_transfers_is_found_by_its_seal_alone():
    user = make_user("forgotten", balance="50.00")
    story()
    wallet = wallet_of(user).pk

    with guards_off():
        # The transfer was the first of its promotions wallet, so nothing has to be
        # numbered anew: to sums and chains neither wallet ever had a row.
        [(transfer,)] = run(
            "SELECT transfer_id FROM credit_transactions WHERE wallet_id = %s", wallet
        )
        others = run(
            "SELECT wallet_id FROM credit_transactions WHERE transfer_id = %s", transfer
        )
        run("DELETE FROM credit_transactions WHERE transfer_id = %s", transfer)
        run("DELETE FROM credit_transfers WHERE id = %s", transfer)
        for (other,) in others:
            renumber(other)
        assert invariants_broken() == set()
        lost = [line.split(": ")[-1] for line in found()]
        assert "transactions were removed, 8 left of 10" in lost


@pytest.mark.parametrize("below", [False, True])
def test_an_inserted_transfer_is_found_by_its_seal_alone(below: bool):
    # Ids that were drawn and never used leave a gap, as every rollback does.
    [(first,), (second,)] = [
        run("SELECT nextval('credit_transactions_id_seq')")[0] for _ in range(2)
    ]
    rich, poor = story()

    with guards_off():
        insert_transfer(rich, poor, (-1, 0) if below else (first, second))
        assert invariants_broken() == set()
        assert [line.split(": ")[-1] for line in found()] == [
            "transactions were added, 10 instead of 8",
            "transfers were added, 5 instead of 4",
        ]


def test_rows_put_in_another_order_are_found_by_their_seal_alone():
    story()

    with guards_off():
        [(one,), (other,)] = run(
            "SELECT id FROM credit_transactions ORDER BY id DESC LIMIT 2"
        )
        for old, new in ((one, -1), (other, one), (-1, other)):
            run("UPDATE credit_transactions SET id = %s WHERE id = %s", new, old)
        assert invariants_broken() == set()
        only(2, "transactions were changed, 6 as before")


def test_emptied_tables_are_found_by_the_seals_alone():
    story()

    with guards_off():
        run("TRUNCATE credit_transactions")
        run("DELETE FROM credit_transfers")
        run("UPDATE credit_wallets SET balance = 0, sequence = 0")
        assert invariants_broken() == set()
        assert "transactions were removed, 0 left of 8" in found()[0]


def test_wallets_that_change_hands_are_found_by_the_seals_alone():
    rich, poor = story()
    wallet, other = wallet_of(rich).pk, wallet_of(poor).pk

    with guards_off():
        for user, code, of in (
            (None, "between", wallet),
            (rich.pk, None, other),
            (poor.pk, None, wallet),
        ):
            run(
                "UPDATE credit_wallets SET user_id = %s, code = %s WHERE id = %s",
                user,
                code,
                of,
            )
        assert invariants_broken() == set()
        assert [line.split(": ")[-1] for line in found()] == [
            "wallets were changed, 3 as before",
            "wallets were changed, 2 as before",
        ]


def test_a_row_beyond_the_ids_given_out_is_found():
    rich, poor = story()

    with guards_off():
        insert_transfer(rich, poor, (10**12, 10**12 + 1))
        assert invariants_broken() == set()
        assert found() == [
            f"transaction {10**12 + 1}: has an id that was never given out"
        ]


# The seals themselves.


def test_a_rewritten_seal_is_found_and_the_file_and_the_key_say_which_is_true():
    story()

    with guards_off():
        run("UPDATE credit_seals SET transactions = transactions + 1 WHERE number = 1")
        assert found() == [
            "seal 1: was rewritten in the table, says the file, and the key confirms it"
        ]


def test_a_rewritten_seal_is_found_by_the_key_alone(settings: Any):
    story()
    settings.LEDGER_SEAL_FILE = ""

    with guards_off():
        run("UPDATE credit_seals SET transactions = transactions + 1 WHERE number = 1")
        assert found() == ["seal 1: is not made with the key: it was rewritten"]


def test_a_seal_of_another_chain_is_found_although_the_key_made_it(settings: Any):
    story()
    settings.LEDGER_SEAL_FILE = ""
    second = seals.Seal.of_row(CreditSeal.objects.get(number=2))
    other = replace(second, previous_digest="f" * 64)

    with guards_off():
        run(
            "UPDATE credit_seals SET previous_digest = %s, digest = %s"
            " WHERE number = 2",
            other.previous_digest,
            other.signed(KEY.encode()),
        )
        assert found() == ["seal 2: does not follow seal 1"]


def test_a_seal_cut_out_of_the_middle_is_found(settings: Any):
    story()

    with guards_off():
        run("DELETE FROM credit_seals WHERE number = 1")
        assert found() == [
            "seal 1: is missing in the table: seals were removed, says the file"
        ]
        settings.LEDGER_SEAL_FILE = ""
        assert found() == ["seal 1: is missing in the table"]


def test_a_table_of_seals_whose_end_was_cut_with_its_rows_is_found_by_the_file_alone(
    settings: Any,
):
    story()

    with guards_off():
        remove_last_transfers(3)
        run("DELETE FROM credit_seals WHERE number = 2")
        assert invariants_broken() == set()
        assert found()[0] == (
            "seal 2: is missing in the table: seals were removed, says the file"
        )
        assert found()[1].endswith("transactions were removed, 0 left of 6")
        settings.LEDGER_SEAL_FILE = ""
        assert found() == []


def test_an_emptied_table_of_seals_is_found(settings: Any):
    story()

    with guards_off():
        run("TRUNCATE credit_seals")
        assert found() == [
            "seals 1 to 2: is missing in the table: seals were removed, says the file"
        ]
        settings.LEDGER_SEAL_FILE = ""
        assert found() == ["ledger: 14 transactions were never sealed"]


def rewrite_everything(settings: Any, key: str) -> None:
    """Remove a transfer and every seal, and seal what is left, with this key."""
    file = settings.LEDGER_SEAL_FILE
    remove_last_transfers(1)
    run("TRUNCATE credit_seals")
    settings.LEDGER_SEAL_KEY, settings.LEDGER_SEAL_FILE = key, ""
    seals.seal_ledger(transactions_max=8)
    settings.LEDGER_SEAL_KEY, settings.LEDGER_SEAL_FILE = KEY, file


def test_a_rewrite_of_everything_with_another_key_is_found(settings: Any):
    story()

    with guards_off():
        rewrite_everything(settings, OTHER_KEY)
        assert invariants_broken() == set()
        assert found()[0] == (
            "seals 1 to 2: was rewritten in the table, says the file, and the key"
            " confirms it"
        )
        assert "transactions were removed, 4 left of 6" in found()[1]


def test_a_rewrite_of_everything_with_another_key_is_found_without_the_file(
    settings: Any,
):
    story()
    settings.LEDGER_SEAL_FILE = ""

    with guards_off():
        rewrite_everything(settings, OTHER_KEY)
        assert found() == [
            "key: LEDGER_SEAL_KEY fits no seal: it is not the key they were made with,"
            " or all were rewritten"
        ]


def test_a_rewrite_of_everything_with_the_stolen_key_is_found_by_the_file_alone(
    settings: Any,
):
    story()

    with guards_off():
        rewrite_everything(settings, KEY)
        assert invariants_broken() == set()
        assert found()[0] == (
            "seals 1 to 2: differs in table and file, both made with the key: who else"
            " has it?"
        )
        # The rows are compared with what the file says.
        assert "transactions were removed, 4 left of 6" in found()[1]
        settings.LEDGER_SEAL_FILE = ""
        assert found() == []
