"""The proof finds what it should: each kind of break, made with the guards off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from tests.factories import make_user, wallet_of
from wallets import proof, services

# Most of what is tried here the app's role could not even begin.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]

_TABLES = ("credit_wallets", "credit_transfers", "credit_transactions", "credit_holds")


@contextmanager
def guards_off() -> Iterator[None]:
    """What a superuser can do: everything, until the block ends and all is undone."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Pending foreign keys would keep the triggers from being switched off.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for table in _TABLES:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("invariants", "sql"),
    [
        (
            {"I03"},
            "UPDATE credit_wallets SET balance = balance + 1 WHERE id = %(wallet)s",
        ),
        (
            {"I03"},
            "UPDATE credit_wallets SET sequence = sequence + 1 WHERE id = %(wallet)s",
        ),
        (
            {"I12"},
            "UPDATE credit_wallets SET held = 1 WHERE id = %(wallet)s",
        ),
        (
            {"I01", "I02", "I03", "I04"},
            "UPDATE credit_transactions SET amount = amount + 1,"
            " balance_before = balance_before - 1"
            " WHERE wallet_id = %(wallet)s AND sequence = 1",
        ),
        (
            {"I01", "I02", "I03", "I04"},
            "DELETE FROM credit_transactions"
            " WHERE wallet_id = %(wallet)s AND sequence = 1",
        ),
        (
            # Chains and sums of the others do not miss a wallet whose rows are gone.
            {"I01", "I02", "I03"},
            "DELETE FROM credit_transactions WHERE wallet_id = %(wallet)s",
        ),
        (
            {"I02"},
            "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
            " VALUES (gen_random_uuid(), 'empty', '', '{}', now())",
        ),
        (
            {"I04"},
            "UPDATE credit_transactions SET created_at = created_at + interval '1 day'"
            " WHERE wallet_id = %(wallet)s AND sequence = 1",
        ),
    ],
)
def test_the_proof_names_the_invariant_that_is_broken(invariants: set[str], sql: str):
    rich, poor = make_user("rich", balance="10.00"), make_user("poor")
    for _ in range(2):
        services.transfer_credits(
            from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("2.00")
        )

    with guards_off():
        with connection.cursor() as cursor:
            cursor.execute(sql, {"wallet": wallet_of(rich).pk})
        found = {b.invariant for b in proof.breaks()} - {"guard"}

    assert found == invariants


def test_verify_ledger_says_that_the_books_are_right():
    make_user("rich", balance="10.00")
    out = StringIO()

    call_command("verify_ledger", stdout=out)

    assert out.getvalue().splitlines()[-1] == "The books are right."


def test_verify_ledger_prints_a_line_for_each_break_and_exits_1():
    rich = make_user("rich", balance="10.00")
    out, err = StringIO(), StringIO()

    with guards_off(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_wallets SET held = 1 WHERE user_id = %s", [rich.pk]
        )
        with pytest.raises(SystemExit) as exit:
            call_command("verify_ledger", stdout=out, stderr=err)

    assert exit.value.code == 1
    wallet = wallet_of(rich).pk
    assert f"I12 wallet {wallet}: held 1.00, but open holds of 0" in err.getvalue()


def test_verify_ledger_answers_in_json():
    out = StringIO()

    call_command("verify_ledger", "--json", stdout=out)

    answer = json.loads(out.getvalue())
    assert (answer["sound"], answer["breaks"]) == (True, [])
    assert {"I01", "I02", "I03", "I04", "I05", "I12"} <= set(answer["checks"])
