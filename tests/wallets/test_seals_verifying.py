"""verify_ledger about the seals, and about what came since the last one."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.factories import make_user, wallet_of
from tests.wallets.sealed import KEY, guards_off, lines, run, send, story
from wallets import proof, seals
from wallets.models import CreditSeal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sealed(settings: Any, tmp_path: Path) -> str:
    settings.LEDGER_SEAL_KEY = KEY
    settings.LEDGER_SEAL_FILE = str(tmp_path / "seals.jsonl")
    return settings.LEDGER_SEAL_FILE


def run_command(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def verify_and_fail(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as exit:
        call_command("verify_ledger", *arguments, stdout=out, stderr=err)
    assert exit.value.code == 1
    return out.getvalue(), err.getvalue()


def test_verify_ledger_checks_the_seals_where_asked_to():
    story()

    out, _ = run_command("verify_ledger", "--seals")

    assert out.splitlines()[-1] == "The books are right."


def test_what_is_not_sealed_yet_is_said():
    rich, poor = story()
    send(rich, poor, "1.00")

    out, _ = run_command("verify_ledger", "--seals")

    assert out.startswith("2 transactions since ")


def test_verify_ledger_exits_1_with_a_line_for_what_the_seals_show(sealed: str):
    story()
    Path(sealed).write_bytes(lines(sealed)[0])

    _, err = verify_and_fail("--seals")

    assert err == "I16 seal 2: is missing in the file: lines were removed\n"


def test_verify_ledger_answers_about_the_seals_in_json(sealed: str):
    story()
    Path(sealed).write_bytes(lines(sealed)[0])

    out, _ = verify_and_fail("--seals", "--since-seal", "--json")

    answer = json.loads(out)
    assert answer["sound"] is False
    assert answer["checks"][-1] == "I16"
    assert answer["since"]["last_id"] == CreditSeal.objects.latest("number").last_id
    assert answer["breaks"] == [
        {
            "invariant": "I16",
            "subject": "seal 2",
            "detail": "is missing in the file: lines were removed",
        }
    ]
    assert answer["notes"][0].startswith("Relied on seal 2 (made with the key)")


def test_progress_is_shown_on_a_terminal_alone():
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    story()
    terminal, pipe = Terminal(), StringIO()

    call_command("verify_ledger", "--seals", stdout=terminal)
    call_command("verify_ledger", "--seals", stdout=pipe)

    assert "checking I01" in terminal.getvalue()
    assert "checking seal 2, 2 of 2" in terminal.getvalue()
    assert pipe.getvalue() == "The books are right.\n"


# What came since the last seal.


def test_since_seal_is_silent_about_right_books_and_says_what_it_relied_on():
    rich, poor = story()
    send(rich, poor, "1.00")

    out, _ = run_command("verify_ledger", "--since-seal")

    last = CreditSeal.objects.latest("number")
    assert out.startswith(
        f"Relied on seal 2 (made with the key) for the transactions up to"
        f" {last.last_id}, sealed"
    )
    assert out.splitlines()[-1] == "The books are right."


def test_since_seal_takes_a_seal_between_the_rows_of_a_transfer():
    rich, poor = make_user("rich", balance="10.00"), make_user("poor")
    send(rich, poor, "1.00")
    first = seals.seal_ledger(transactions_max=3)[0]

    since = proof.Since(last_id=first.last_id, moment=first.sealed_at)

    assert proof.breaks(since=since) == []


@pytest.mark.usefixtures("as_owner")
@pytest.mark.parametrize(
    ("invariants", "sql"),
    [
        (
            {"I03"},
            "UPDATE credit_wallets SET balance = balance + 1 WHERE id = %(wallet)s",
        ),
        (
            # The newest row is gone; the wallet says that it changed.
            {"I01", "I02", "I03"},
            "DELETE FROM credit_transactions WHERE wallet_id = %(wallet)s"
            " AND sequence = (SELECT sequence FROM credit_wallets"
            " WHERE id = %(wallet)s)",
        ),
        (
            {"I01", "I02", "I04"},
            "UPDATE credit_transactions SET amount = amount + 1,"
            " balance_before = balance_before - 1 WHERE wallet_id = %(wallet)s"
            " AND sequence = (SELECT sequence FROM credit_wallets"
            " WHERE id = %(wallet)s)",
        ),
        (
            # A row is added to a transfer that was sealed.
            {"I01", "I02", "I03"},
            "INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
            " transaction_type, amount, balance_before, balance_after, created_at)"
            " SELECT transfer_id, (SELECT id FROM credit_wallets WHERE code ="
            " 'opening'), 1, 'bonus', 1, 0, 1, now() FROM credit_transactions"
            " WHERE wallet_id = %(wallet)s AND sequence = 1",
        ),
        (
            {"I02"},
            "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
            " VALUES (gen_random_uuid(), 'empty', '', '{}', now())",
        ),
        (
            {"I12"},
            "UPDATE credit_wallets SET held = 1 WHERE id = %(wallet)s",
        ),
    ],
)
def test_since_seal_names_what_is_broken_since(invariants: set[str], sql: str):
    rich, poor = story()
    send(rich, poor, "1.00")
    since = seals.since_last_seal(seals.Findings())

    with guards_off():
        with connection.cursor() as cursor:
            cursor.execute(sql, {"wallet": wallet_of(poor).pk})
        broken = {b.invariant for b in proof.breaks(since=since)} - {"guard"}

    assert broken == invariants


@pytest.mark.usefixtures("as_owner")
def test_since_seal_relies_on_the_seals_for_what_is_older():
    rich, _ = story()

    with guards_off():
        run(
            "UPDATE credit_transactions SET amount = amount - 1,"
            " balance_before = balance_before + 1 WHERE wallet_id = %s"
            " AND sequence = 2",
            wallet_of(rich).pk,
        )
        _, err = verify_and_fail("--seals", "--since-seal")

    broken = {line.split()[0] for line in err.splitlines()} - {"guard"}
    assert broken == {"I16"}


def test_since_seal_checks_everything_where_there_is_no_seal():
    make_user("rich", balance="10.00")

    out, _ = run_command("verify_ledger", "--since-seal")

    assert out.startswith("There is no seal to rely on: everything was checked.")


@pytest.mark.usefixtures("as_owner")
def test_since_seal_does_not_let_a_forged_seal_choose_what_is_looked_at():
    story()

    with guards_off():
        run("UPDATE credit_seals SET digest = repeat('f', 64) WHERE number = 2")
        _, err = verify_and_fail("--since-seal")

    assert "I16 seal 2: is not made with the key" in err


def test_since_seal_says_where_the_key_is_missing(settings: Any):
    story()
    settings.LEDGER_SEAL_KEY = ""

    out, _ = run_command("verify_ledger", "--since-seal")

    assert "not checked by the key: LEDGER_SEAL_KEY is not set." in out
